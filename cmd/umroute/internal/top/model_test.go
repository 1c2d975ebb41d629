package top

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"umroute/cmd/umroute/internal/control"
)

// screen is a model with a story of messages.
type screen struct {
	t *testing.T
	m *model
	n time.Time
}

func newScreen(t *testing.T) *screen {
	s := &screen{t: t, m: newModel(), n: time.Unix(1000, 0)}
	s.send(tea.WindowSizeMsg{Width: 100, Height: 12})
	return s
}

func (s *screen) send(message tea.Msg) tea.Cmd {
	_, command := s.m.Update(message)
	return command
}

// documents gives the model a router with two interfaces and n flows.
func (s *screen) documents(packets uint64, flows int) {
	s.send(update(func(state *State) {
		state.Stats = control.Stats{Name: "edge", Uptime: 60}
		state.Interfaces = []control.Interface{
			{Name: "red", Up: true, Link: "tun", RxPackets: packets,
				Drops: map[string]uint64{"ttl": packets / 10}},
			{Name: "blue", Link: "tap", TxPackets: 2 * packets},
		}
		state.Groups = []control.Group{{Interface: "blue", Group: "239.1.1.1", Mode: "exclude",
			Reporters: []string{"10.0.2.2"}, Uptime: 5}}
		state.Routes = nil
		for n := range flows {
			state.Routes = append(state.Routes, control.Route{Source: "10.0.1.2", IIF: "red",
				Group: fmt.Sprintf("239.1.1.%d", n+1), Packets: packets * uint64(n+1),
				OIFs: []control.OIF{{Interface: "blue"}}})
		}
		state.Events = []control.Event{{Number: 1, Message: "interface up", Level: "INFO",
			Attributes: map[string]string{"if": "red"}}, {Number: 2, Message: "interface down"}}
		state.arrive("groups", s.n)
	}))
}

// second lets one pass.
func (s *screen) second() {
	s.n = s.n.Add(time.Second)
	s.send(tick(s.n))
}

func (s *screen) press(keys ...string) tea.Cmd {
	var command tea.Cmd
	for _, key := range keys {
		command = s.send(keyOf(key))
	}
	return command
}

func keyOf(key string) tea.KeyPressMsg {
	special := map[string]rune{"tab": tea.KeyTab, "esc": tea.KeyEscape, "enter": tea.KeyEnter,
		"down": tea.KeyDown, "up": tea.KeyUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome,
		"backspace": tea.KeyBackspace}
	if code, is := special[key]; is {
		return tea.KeyPressMsg{Code: code}
	}
	return tea.KeyPressMsg{Code: []rune(key)[0], Text: key}
}

// want looks for texts on the screen, and for those with "!" in front that they
// are not there.
func (s *screen) want(texts ...string) {
	s.t.Helper()
	shown := s.m.render()
	for _, text := range texts {
		unwanted, not := strings.CutPrefix(text, "!")
		if strings.Contains(shown, unwanted) == not {
			s.t.Errorf("want %q on the screen:\n%s", text, shown)
		}
	}
	lines := strings.Split(shown, "\n")
	if len(lines) != s.m.height {
		s.t.Errorf("%d lines on a screen of %d:\n%s", len(lines), s.m.height, shown)
	}
}

func TestScreen(t *testing.T) {
	s := newScreen(t)
	s.want("1 interfaces", "0 rows")
	s.documents(0, 2)
	s.second()
	s.documents(1000, 2)
	s.second()
	t.Log("# rates are those of the last second")
	s.want("umroute edge", "rx 1000/s", "tx 2000/s", "drops 100/s", "red", "down", "2 rows")
	s.second()
	s.want("rx 0/s")
	t.Log("# the other tables")
	s.press("2")
	s.want("239.1.1.1", "exclude", "10.0.2.2", "7s") // 5 s, and 2 since it was told
	s.press("tab")
	s.want("Packets/s", "239.1.1.2")
	s.press("4")
	s.want("interface up", "if=red")
	s.press("?")
	s.want("sort by the next column", "!if=red")
	s.press("?", "1")
	s.want("!sort by the next column", "tap")
}

func TestSortAndFilter(t *testing.T) {
	s := newScreen(t)
	s.documents(0, 3)
	s.second()
	s.documents(100, 3)
	s.second()
	s.press("3")
	order := func(want ...string) {
		t.Helper()
		shown := s.m.render()
		at := -1
		for _, text := range want {
			next := strings.Index(shown, text)
			if next <= at {
				t.Errorf("want %v in this order:\n%s", want, shown)
			}
			at = next
		}
	}
	t.Log("# the fastest first, then the slowest, then as they come")
	order("239.1.1.3", "239.1.1.2", "239.1.1.1")
	s.press("r")
	order("▲Packets/s", "239.1.1.1", "239.1.1.2", "239.1.1.3")
	s.press("r")
	for range 5 {
		s.press("s")
	}
	order("239.1.1.1", "239.1.1.2", "239.1.1.3")
	s.want("!▼", "!▲")
	s.press("s", "s")
	order("▼Group", "239.1.1.1", "239.1.1.2", "239.1.1.3")
	t.Log("# a filter, with a slip")
	s.press("/", "1", ".", "1", ".", "2", "9", "backspace")
	s.want("filter: 1.1.2_", "239.1.1.2", "!239.1.1.1", "!239.1.1.3")
	s.press("enter")
	s.want("1 rows, filter: 1.1.2")
	s.press("esc")
	s.want("3 rows", "239.1.1.3")
	if quit := s.press("/", "q"); quit != nil {
		t.Error("a q in the filter quits")
	}
	s.press("esc")
	s.want("!filter")
}

func TestScroll(t *testing.T) {
	s := newScreen(t)
	s.documents(1, 30)
	s.press("3", "s", "s", "s", "s", "s") // as they come
	s.want("1-7 of 30 rows", "239.1.1.7 ", "!239.1.1.8 ")
	s.press("down")
	s.want("2-8 of 30", "239.1.1.8 ")
	s.press("pgdown", "pgdown", "pgdown", "pgdown", "pgdown")
	s.want("24-30 of 30", "239.1.1.30 ")
	s.press("up", "home", "up")
	s.want("1-7 of 30")
	s.documents(1, 2)
	s.want("2 rows")
}

func TestEnd(t *testing.T) {
	s := newScreen(t)
	if s.press("q") == nil {
		t.Error("q does not quit")
	}
	gone := errors.New("the router has ended")
	if s.send(ended{gone}) == nil || !errors.Is(s.m.err, gone) {
		t.Error("the end of the router does not quit")
	}
}

// TestNarrow has a screen on which little fits, and names that would move the
// cursor.
func TestNarrow(t *testing.T) {
	s := newScreen(t)
	s.send(tea.WindowSizeMsg{Width: 12, Height: 3})
	s.documents(1, 3)
	s.m.state.Interfaces[0].Name = "re\nd\x1b[2J"
	for n, line := range strings.Split(s.m.render(), "\n") {
		plain := strings.NewReplacer(reverseOn, "", reverseOff, "").Replace(line)
		if len([]rune(plain)) > 12 || strings.Contains(plain, "\x1b") {
			t.Errorf("line %d: %q", n, line)
		}
	}
}
