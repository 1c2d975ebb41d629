package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile writes the page to a file, which is there as a whole or not at all.
func (p Page) WriteFile(path string) error {
	var b bytes.Buffer
	if err := p.WriteHTML(&b); err != nil {
		return err
	}
	return replace(path, b.Bytes())
}

// WriteSVG writes each plot of the page to a file of its own in a folder,
// which it makes if need be, and returns their names.
func (p Page) WriteSVG(folder string) ([]string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]int{}
	for _, f := range p.Figures() {
		name := f.Name
		if seen[f.Name]++; seen[f.Name] > 1 {
			name = fmt.Sprintf("%s-%d", f.Name, seen[f.Name])
		}
		var b bytes.Buffer
		if err := f.Chart.WriteSVG(&b); err != nil {
			return names, err
		}
		path := filepath.Join(folder, name+".svg")
		if err := replace(path, b.Bytes()); err != nil {
			return names, err
		}
		names = append(names, path)
	}
	return names, nil
}

// replace writes a file beside the old one and puts it in its place.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".umroute-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // fails once it has its name
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
