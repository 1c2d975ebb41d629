package bench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"umroute/bench/plan"
)

// progress says what is being done, and how long the rest will take.
type progress struct {
	out   io.Writer
	live  bool
	shown bool // a line that is to be replaced

	began time.Time // of the samples; zero before
	guess func(plan.Row) time.Duration
	// What all samples would take if each took its guess, and those so far.
	total, done time.Duration
	current     time.Duration // of the one under way
	where       string
}

func newProgress(o Options) *progress { return &progress{out: o.Progress, live: o.Live} }

func (p *progress) say(format string, a ...any) {
	p.clear()
	fmt.Fprintf(p.out, format, a...)
}

// clear removes the line that is to be replaced.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

func (p *progress) started() bool { return !p.began.IsZero() }

// start begins with all samples of a session before it.
func (p *progress) start(s *session) {
	p.began = time.Now()
	p.guess = s.guess
	for _, r := range s.Rows {
		for _, e := range s.Engines {
			if r.Fits(e) == nil {
				p.total += time.Duration(s.Repeats) * s.guess(r)
			}
		}
	}
}

// guess is how long a sample of a row may take.
func (s *session) guess(r plan.Row) time.Duration {
	const around = 50 * time.Millisecond
	each := s.Warmup + s.Duration + around
	switch {
	case r.Joins() && r.Test == plan.LeaveDelay && !r.FastLeave:
		return 14 * time.Second
	case r.Joins():
		return 5 * time.Second
	case r.Sender == plan.Iperf:
		return max(time.Second, s.Duration) + 2*time.Second
	case r.Test == plan.Capacity:
		return 30 * time.Second
	case r.Find == plan.Search:
		return 25 * (each + 100*time.Millisecond) // half of the trials have loss to wait for
	}
	return each
}

func (p *progress) round(n, rows, engines int) {
	p.where = fmt.Sprintf("round %d", n)
	p.say("%s: %d rows, %d engines, %.0f s so far%s\n", p.where, rows, engines,
		time.Since(p.began).Seconds(), p.left())
}

// next says what is measured now.
func (p *progress) next(e plan.Engine, r plan.Row) {
	p.done += p.current
	p.current = p.guess(r)
	if !p.live {
		return
	}
	const width = 78
	line := fmt.Sprintf("%s%s: %s, %s", p.where, p.left(), e, describe(r))
	if len(line) > width {
		line = line[:width]
	}
	fmt.Fprint(p.out, "\r\x1b[K", strings.TrimSpace(line))
	p.shown = true
}

// left says how long the rest will take, if it goes on like this.
func (p *progress) left() string {
	rest := p.total - p.done
	if p.done > 0 {
		rest = time.Duration(float64(rest) * float64(time.Since(p.began)) / float64(p.done))
	}
	return ", " + about(rest) + " left"
}

// about names a duration as people do.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()+1))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()+1))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// describe names a row in a sentence.
func describe(r plan.Row) string {
	size := "IMIX"
	if r.Size > 0 {
		size = fmt.Sprintf("%d B", r.Size)
	}
	text := fmt.Sprintf("%s to %d, %d flows, %s to %s", size, r.Oifs, r.Flows, r.Sender,
		r.Receiver)
	if r.Test != plan.Forward && r.Test != "" {
		text = r.Test + ", " + text
	}
	if r.Joins() {
		text = r.Test + ", " + r.Protocol
		if r.FastLeave {
			text += " with fast leave"
		}
	} else if r.IPv6 {
		text += ", IPv6"
	}
	if r.Unicast > 0 {
		text += fmt.Sprintf(", %d0 %% unicast", r.Unicast)
	}
	if r.Burden > 0 {
		text += fmt.Sprintf(", beside %g/s", r.Burden)
	}
	if r.Rate > 0 && !r.Joins() {
		text += fmt.Sprintf(", %g/s", r.Rate)
	}
	if r.Burst {
		text += " in bursts"
	}
	return text
}
