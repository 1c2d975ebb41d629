package top

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Update changes the state; documents that arrive are such messages.
type update func(*State)

// tick comes once a second.
type tick time.Time

// ended says that the router has gone, or does not answer.
type ended struct{ err error }

// view is how one table is looked at.
type view struct {
	column  int // sorted by; -1 as the rows come
	reverse bool
	offset  int // of the first row shown
}

// model is the screen.
type model struct {
	state  State
	tab    int
	views  []view
	filter string
	typing bool // the filter
	help   bool

	width, height int
	err           error // why it ended
}

func newModel() *model {
	m := &model{width: 80, height: 24}
	for _, t := range tables {
		m.views = append(m.views, view{column: t.sorted})
	}
	return m
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return nextTick() }

func nextTick() tea.Cmd {
	return tea.Tick(time.Second, func(at time.Time) tea.Msg { return tick(at) })
}

// Update implements tea.Model.
func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case update:
		message(&m.state)
	case tick:
		m.state.Sample(time.Time(message))
		return m, nextTick()
	case ended:
		m.err = message.err
		return m, tea.Quit
	case tea.KeyPressMsg:
		if m.typing {
			m.edit(message)
			return m, nil
		}
		return m, m.press(message.String())
	}
	return m, nil
}

// edit is a key while the filter is typed.
func (m *model) edit(key tea.KeyPressMsg) {
	m.view().offset = 0
	switch key.String() {
	case "enter":
		m.typing = false
	case "esc", "ctrl+c":
		m.typing, m.filter = false, ""
	case "backspace":
		if runes := []rune(m.filter); len(runes) > 0 {
			m.filter = string(runes[:len(runes)-1])
		}
	default:
		m.filter += key.Text
	}
}

// press is any other key.
func (m *model) press(key string) tea.Cmd {
	v := m.view()
	switch key {
	case "q", "ctrl+c":
		return tea.Quit
	case "1", "2", "3", "4":
		m.tab = int(key[0] - '1')
	case "tab", "right", "l":
		m.tab = (m.tab + 1) % len(tables)
	case "shift+tab", "left", "h":
		m.tab = (m.tab + len(tables) - 1) % len(tables)
	case "s":
		v.column++
		if v.column == len(tables[m.tab].columns) {
			v.column = -1
		}
	case "r":
		v.reverse = !v.reverse
	case "/":
		m.typing = true
	case "esc":
		m.filter = ""
	case "?":
		m.help = !m.help
	case "down", "j":
		v.offset++
	case "up", "k":
		v.offset--
	case "pgdown", "space":
		v.offset += m.room()
	case "pgup":
		v.offset -= m.room()
	case "home", "g":
		v.offset = 0
	}
	return nil
}

func (m *model) view() *view { return &m.views[m.tab] }

// frame is how many lines of the screen are not rows.
const frame = 5

// room is how many rows fit.
func (m *model) room() int { return max(m.height-frame, 1) }

// View implements tea.Model.
func (m *model) View() tea.View {
	screen := tea.NewView(m.render())
	screen.AltScreen = true
	screen.WindowTitle = "umroute " + m.state.Stats.Name
	return screen
}

// render is the text of the screen.
func (m *model) render() string {
	t, v := tables[m.tab], m.view()
	rows := choose(t.rows(&m.state), m.filter, v.column, v.reverse)
	v.offset = min(max(v.offset, 0), max(len(rows)-m.room(), 0))
	columns := t.columns
	if v.column >= 0 {
		columns = append([]string{}, columns...)
		columns[v.column] = map[bool]string{false: "▼", true: "▲"}[v.reverse] + columns[v.column]
	}
	head, lines := layout(columns, rows)
	if m.help {
		head, lines = "Keys", strings.Split(helpText, "\n")
	} else {
		lines = lines[v.offset:min(v.offset+m.room(), len(lines))]
	}
	for len(lines) < m.room() {
		lines = append(lines, "")
	}
	all := append([]string{m.title(), m.tabs(), reversed(pad(head, m.width))},
		lines[:min(len(lines), m.room())]...)
	all = append(all, "", m.footer(len(rows), v.offset))
	for n, line := range all {
		all[n] = cut(line, m.width)
	}
	return strings.Join(all, "\n")
}

const helpText = `1 2 3 4, tab, left, right   choose what is shown
up, down, page up, page down, home   scroll
s   sort by the next column        r   the other way round
/   show only what contains a text; enter keeps it, escape ends it
?   this help                      q   quit`

// title is the router as a whole, in one line.
func (m *model) title() string {
	s := m.state.Stats
	var rx, tx, drops float64
	for _, i := range m.state.Interfaces {
		rx += m.state.rate("rx", i.Name)
		tx += m.state.rate("tx", i.Name)
		drops += m.state.rate("drops", i.Name)
	}
	up := time.Duration(m.state.since("stats", s.Uptime)) * time.Second
	return fmt.Sprintf("umroute %s %s  pid %d  up %s  rx %s/s  tx %s/s  drops %s/s  flows %d",
		s.Name, s.Version, s.PID, up, short(rx), short(tx), short(drops), len(m.state.Routes))
}

// tabs names the views.
func (m *model) tabs() string {
	var names []string
	for n, t := range tables {
		name := fmt.Sprintf(" %d %s ", n+1, t.name)
		if n == m.tab {
			name = reversed(name)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func (m *model) footer(rows, offset int) string {
	if m.typing {
		return "filter: " + m.filter + "_"
	}
	text := fmt.Sprintf("%d rows", rows)
	if rows > m.room() {
		text = fmt.Sprintf("%d-%d of %d rows", offset+1, min(offset+m.room(), rows), rows)
	}
	if m.filter != "" {
		text += ", filter: " + m.filter
	}
	return text + "   ? help   q quit"
}
