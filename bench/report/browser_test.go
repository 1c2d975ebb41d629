package report

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// browse runs a headless browser on a file with some more arguments, and
// returns what it printed.
func browse(t *testing.T, file string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("UMROUTE_REQUIRE_BROWSER") != "" {
			t.Fatal("no chromium, but UMROUTE_REQUIRE_BROWSER is set")
		}
		t.Skip("no chromium to open the page in")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	profile := t.TempDir()
	cmd := exec.CommandContext(ctx, program, append([]string{"--headless", "--no-sandbox",
		"--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir=" + profile}, append(args, "file://"+file)...)...)
	cmd.Env = append(os.Environ(), "HOME="+profile, "XDG_CONFIG_HOME="+profile,
		"XDG_CACHE_HOME="+profile)
	// What it starts may outlive it for a moment; its pipe is not waited for.
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return string(out)
}

func writePage(t *testing.T) (path, text string) {
	t.Helper()
	p := build(t, measured(t, 1.5))
	path = filepath.Join(t.TempDir(), "page.html")
	if err := p.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(data)
}

// TestPageInBrowser holds that a browser shows the page light and dark: the
// ground has the colour asked for, and there is a picture on it.
func TestPageInBrowser(t *testing.T) {
	path, _ := writePage(t)
	for scheme, tt := range map[string]struct{ setting, ground string }{
		"light": {"1", "ffffff"}, "dark": {"0", "0d1117"},
	} {
		shot := filepath.Join(t.TempDir(), scheme+".png")
		browse(t, path, "--window-size=1200,1600", "--screenshot="+shot,
			"--blink-settings=preferredColorScheme="+tt.setting)
		data, err := os.ReadFile(shot)
		if err != nil {
			t.Fatal(err)
		}
		picture, _, err := image.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r, g, b, _ := picture.At(2, 2).RGBA()
		if got := fmt.Sprintf("%02x%02x%02x", r>>8, g>>8, b>>8); got != tt.ground {
			t.Errorf("%s: the ground is %s, want %s", scheme, got, tt.ground)
		}
		if n := colours(picture); n < 20 {
			t.Errorf("%s: %d colours: nothing is drawn", scheme, n)
		}
	}
}

func colours(picture image.Image) int {
	seen := map[[3]uint32]bool{}
	for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y += 2 {
		for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x += 2 {
			r, g, b, _ := picture.At(x, y).RGBA()
			seen[[3]uint32{r, g, b}] = true
		}
	}
	return len(seen)
}

// TestPageOnTelephone holds that no part of the page is wider than a telephone,
// and that the letters of the plots stay readable there.
func TestPageOnTelephone(t *testing.T) {
	_, page := writePage(t)
	outer := filepath.Join(t.TempDir(), "outer.html")
	err := os.WriteFile(outer, []byte(`<!doctype html><body><iframe id="f" width="390" `+
		`height="844" style="border:0" srcdoc="`+html.EscapeString(page)+`"></iframe><p id="r"></p>
<script>
const frame = document.getElementById("f");
frame.addEventListener("load", () => {
  const inner = frame.contentDocument;
  const letters = [...inner.querySelectorAll("svg text")].map(
    text => text.getBoundingClientRect().height);
  document.getElementById("r").textContent = "fits=" + (inner.documentElement.scrollWidth <= 390) +
    " plots=" + inner.querySelectorAll("svg").length +
    " letters=" + (Math.min(...letters) >= 9);
});
</script>`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	got := browse(t, outer, "--dump-dom", "--virtual-time-budget=5000")
	_, got, _ = strings.Cut(got, `<p id="r">`)
	got, _, _ = strings.Cut(got, "</p>")
	want := fmt.Sprintf("fits=true plots=%d letters=true", strings.Count(page, "<svg"))
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
