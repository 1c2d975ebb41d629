package result

import "fmt"

// Warnings say what makes the figures unsafe, for people.
func Warnings(samples []Sample) []string {
	if len(samples) == 0 {
		return nil
	}
	var warnings []string
	noisy, stolen, few := 0, 0, 0
	for _, s := range samples {
		if s.Noisy() {
			noisy++
		}
		if ratio(s.Usage.Stolen.Seconds(), s.Usage.Elapsed.Seconds()) > muchStolen {
			stolen++
		}
	}
	for _, s := range Summarize(samples) {
		if s.Samples < forClaim {
			few++
		}
	}
	if noisy > 0 {
		warnings = append(warnings, fmt.Sprintf("during %d of %d samples others used more than "+
			"%.1f processors: compare engines with one another, not with other runs",
			noisy, len(samples), tooNoisy))
	}
	if stolen > 0 {
		warnings = append(warnings, fmt.Sprintf("during %d of %d samples the host of this "+
			"virtual machine kept more than %.2f processors from it", stolen, len(samples),
			muchStolen))
	}
	if few > 0 {
		warnings = append(warnings, fmt.Sprintf("%d medians are of fewer than %d samples: enough "+
			"to see something, not to claim it", few, forClaim))
	}
	return warnings
}

const (
	muchStolen = 0.05 // processors
	forClaim   = 10   // samples
)
