package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"umroute/tun/netns/netnstest"
)

// step is one line of a recipe.
type step struct {
	place string // "red" or "blue"
	line  string
	out   *bytes.Buffer
}

// recipe reads the lines below a heading of docs/recipes.md.
func recipe(t *testing.T, heading string) []*step {
	t.Helper()
	data, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(data), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/recipes.md has no heading %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var steps []*step
	for line := range strings.Lines(text) {
		for _, place := range []string{"red", "blue"} {
			if rest, ok := strings.CutPrefix(line, place+"$ "); ok {
				steps = append(steps, &step{place: place, line: rest, out: new(bytes.Buffer)})
			}
		}
	}
	return steps
}

// needTools skips a test of programs that are not installed.
func needTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("UMROUTE_REQUIRE_NETNS") == "1" {
				t.Fatalf("UMROUTE_REQUIRE_NETNS=1: %v", err)
			}
			t.Skipf("%v", err)
		}
	}
}

// runRecipe runs the lines at their places, each next to the one before, in a folder
// of their own, and returns when all have ended.
func runRecipe(t *testing.T, folder string, steps []*step, stations map[string]*station) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	programs := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(programs, "umroute")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, s := range steps {
		cmd := exec.CommandContext(ctx, "sh", "-c", s.line)
		cmd.Dir, cmd.Stdout, cmd.Stderr = folder, s.out, s.out
		cmd.Env = append(os.Environ(), "HOME="+folder,
			"PATH="+programs+":"+os.Getenv("PATH"))
		cmd.WaitDelay = time.Second
		stations[s.place].Do(cmd.Start)
		all.Go(func() { _ = cmd.Wait() }) // what was received is looked at
	}
	all.Wait()
	for _, s := range steps {
		t.Logf("%s$ %s\n%s", s.place, strings.TrimSpace(s.line), s.out)
	}
}

// TestRecipes runs the lines of docs/recipes.md between two hosts.
func TestRecipes(t *testing.T) {
	if raceDetector {
		t.Skip("other programs take their time, and the other tests find the races")
	}
	netnstest.Require(t)
	for _, tt := range []struct {
		heading string
		tools   []string
		link    string
		check   func(t *testing.T, folder string, out map[string]string)
	}{
		{"RTP and IPTV with ffmpeg", []string{"ffmpeg"}, "tun", checkFilm},
		{"ROS 2 and DDS", []string{"ddsperf"}, "tun", wantOutput("blue", "total ", "lost 0")},
		{"SSDP and UPnP", []string{"gssdp-discover", "socat"}, "tap",
			wantOutput("blue", "uuid:red::upnp:rootdevice")},
		{"PTP", []string{"ptp4l"}, "tap", wantOutput("blue", "UNCALIBRATED", "master offset")},
		{"Market data: two feeds, one source each", nil, "tun",
			wantOutput("blue", "received 50, lost 0")},
	} {
		t.Run(tt.heading, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			needTools(t, tt.tools...)
			steps := recipe(t, tt.heading)
			if len(steps) != 2 {
				t.Fatalf("%d lines", len(steps))
			}
			stations := newStations(t, "red", "blue")
			for _, s := range stations {
				s.more = "link: " + tt.link
			}
			startRouter(t, configure(stations...))
			folder := t.TempDir()
			runRecipe(t, folder, steps, map[string]*station{"red": stations[0], "blue": stations[1]})
			out := map[string]string{}
			for _, s := range steps {
				out[s.place] = s.out.String()
			}
			tt.check(t, folder, out)
		})
	}
}

// wantOutput looks for words in what was printed at a place.
func wantOutput(place string, words ...string) func(*testing.T, string, map[string]string) {
	return func(t *testing.T, _ string, out map[string]string) {
		t.Helper()
		for _, word := range words {
			if !strings.Contains(out[place], word) {
				t.Errorf("%s did not print %q", place, word)
			}
		}
	}
}

// checkFilm looks at two seconds of an MPEG transport stream.
func checkFilm(t *testing.T, folder string, _ map[string]string) {
	t.Helper()
	film, err := os.ReadFile(filepath.Join(folder, "film.ts"))
	if err != nil {
		t.Fatal(err)
	}
	const packet, sync = 188, 0x47
	if len(film) < 100*packet || len(film)%packet != 0 {
		t.Fatalf("%d octets of film", len(film))
	}
	for at := 0; at < len(film); at += packet {
		if film[at] != sync {
			t.Fatalf("no transport packet at %d", at)
		}
	}
}
