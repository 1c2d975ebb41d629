package membership

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// row is one line of the tables in RFC 9776 sections 6.4.1 and 6.4.2 (RFC 9777
// sections 7.4.1 and 7.4.2), as printed there: sets are A in INCLUDE mode, X
// and Y in EXCLUDE mode, and B or A in the record.
type row struct {
	state, record, next string
	actions             []string
}

var tables = []row{
	{"INCLUDE (A)", "IS_IN (B)", "INCLUDE (A+B)", []string{"(B)=GMI"}},
	{"INCLUDE (A)", "IS_EX (B)", "EXCLUDE (A*B,B-A)",
		[]string{"(B-A)=0", "Group Timer=GMI"}},
	{"EXCLUDE (X,Y)", "IS_IN (A)", "EXCLUDE (X+A,Y-A)", []string{"(A)=GMI"}},
	{"EXCLUDE (X,Y)", "IS_EX (A)", "EXCLUDE (A-Y,Y*A)",
		[]string{"(A-X-Y)=GMI", "Group Timer=GMI"}},
	{"INCLUDE (A)", "ALLOW (B)", "INCLUDE (A+B)", []string{"(B)=GMI"}},
	{"INCLUDE (A)", "BLOCK (B)", "INCLUDE (A)", []string{"Send Q(G,A*B)"}},
	{"INCLUDE (A)", "TO_EX (B)", "EXCLUDE (A*B,B-A)",
		[]string{"(B-A)=0", "Send Q(G,A*B)", "Group Timer=GMI"}},
	{"INCLUDE (A)", "TO_IN (B)", "INCLUDE (A+B)", []string{"(B)=GMI", "Send Q(G,A-B)"}},
	{"EXCLUDE (X,Y)", "ALLOW (A)", "EXCLUDE (X+A,Y-A)", []string{"(A)=GMI"}},
	{"EXCLUDE (X,Y)", "BLOCK (A)", "EXCLUDE (X+(A-Y),Y)",
		[]string{"(A-X-Y)=Group Timer", "Send Q(G,A-Y)"}},
	{"EXCLUDE (X,Y)", "TO_EX (A)", "EXCLUDE (A-Y,Y*A)",
		[]string{"(A-X-Y)=Group Timer", "Send Q(G,A-Y)", "Group Timer=GMI"}},
	{"EXCLUDE (X,Y)", "TO_IN (A)", "EXCLUDE (X+A,Y-A)",
		[]string{"(A)=GMI", "Send Q(G,X-A)", "Send Q(G)"}},
}

// set is a set of source names.
type set map[string]bool

// evaluate computes "X+(A-Y)" and its like: + is union, * intersection, - the
// difference, from left to right.
func evaluate(expression string, sets map[string]set) set {
	result, rest := term(expression, sets)
	for rest != "" && rest[0] != ')' {
		var right set
		operator := rest[0]
		right, rest = term(rest[1:], sets)
		left := maps.Clone(result)
		for name := range left {
			if operator == '-' && right[name] || operator == '*' && !right[name] {
				delete(left, name)
			}
		}
		if operator == '+' {
			maps.Copy(left, right)
		}
		result = left
	}
	return result
}

func term(expression string, sets map[string]set) (set, string) {
	if expression[0] != '(' {
		return sets[expression[:1]], expression[1:]
	}
	end := strings.IndexByte(expression, ')')
	return evaluate(expression[1:end], sets), expression[end+1:]
}

// reference is the plain state of one group: RFC 9776 section 6.2 by the letter,
// with a map of timers and no thought of speed.
type reference struct {
	exclude    bool
	groupTimer time.Duration
	timers     map[string]time.Duration // 0: in Y
	asked      set                      // by the last record
	askedGroup bool
}

const (
	gmi  = 260 * time.Second
	lmqt = 2 * time.Second
)

func (m *reference) sets(named set) map[string]set {
	x, y := set{}, set{}
	for name, timer := range m.timers {
		if timer > 0 {
			x[name] = true
		} else {
			y[name] = true
		}
	}
	if m.exclude {
		return map[string]set{"X": x, "Y": y, "A": named}
	}
	return map[string]set{"A": x, "B": named}
}

// receive carries out the row that fits.
func (m *reference) receive(t *testing.T, kind string, named set) {
	t.Helper()
	state := "INCLUDE"
	if m.exclude {
		state = "EXCLUDE"
	}
	for _, r := range tables {
		if strings.HasPrefix(r.state, state) && strings.HasPrefix(r.record, kind) {
			m.apply(r, m.sets(named))
			return
		}
	}
	t.Fatalf("no row for %s in %s", kind, state)
}

func (m *reference) apply(r row, sets map[string]set) {
	m.asked, m.askedGroup = set{}, false
	groupTimer := m.groupTimer
	mode, lists, _ := strings.Cut(strings.TrimSuffix(r.next, ")"), " (")
	m.exclude = mode == "EXCLUDE"
	next := set{}
	for list := range strings.SplitSeq(lists, ",") {
		maps.Copy(next, evaluate(list, sets))
	}
	maps.DeleteFunc(m.timers, func(name string, _ time.Duration) bool { return !next[name] })
	for _, action := range r.actions {
		left, right, _ := strings.Cut(action, "=")
		switch value := map[string]time.Duration{"GMI": gmi, "Group Timer": groupTimer}[right]; {
		case left == "Group Timer":
			m.groupTimer = value
		case left == "Send Q(G)":
			m.askedGroup = m.groupTimer > lmqt
			m.groupTimer = min(m.groupTimer, lmqt)
		case strings.HasPrefix(left, "Send Q(G,"):
			expression := strings.TrimSuffix(strings.TrimPrefix(left, "Send Q(G,"), ")")
			for name := range evaluate(expression, sets) {
				if m.timers[name] > lmqt {
					m.asked[name], m.timers[name] = true, lmqt
				}
			}
		default:
			for name := range evaluate(strings.Trim(left, "()"), sets) {
				m.timers[name] = value
			}
		}
	}
}

// pass lets time pass: sections 6.3 and 6.5.
func (m *reference) pass(d time.Duration) {
	for name, timer := range m.timers {
		if timer == 0 {
			continue
		}
		m.timers[name] = max(timer-d, 0)
		if m.timers[name] == 0 && !m.exclude {
			delete(m.timers, name)
		}
	}
	if !m.exclude {
		return
	}
	if m.groupTimer -= d; m.groupTimer <= 0 {
		m.exclude, m.groupTimer = false, 0
		maps.DeleteFunc(m.timers, func(_ string, timer time.Duration) bool { return timer == 0 })
	}
}

// String describes the state, with timers.
func (m *reference) String() string {
	var list []string
	for name, timer := range m.timers {
		list = append(list, fmt.Sprintf("%s=%s", name, timer))
	}
	slices.Sort(list)
	return fmt.Sprintf("exclude=%v timer=%s %v", m.exclude, m.groupTimer, list)
}

// describe gives the machine's state the form of reference.String.
func describe(b *bench, group string) string {
	m := reference{timers: map[string]time.Duration{}}
	if g, ok := b.group(group); ok {
		m.exclude = g.Mode == Exclude
		if m.exclude {
			m.groupTimer = g.Expires
		}
		for _, s := range g.Sources {
			m.timers[s.Address.String()] = s.Expires
		}
	}
	return m.String()
}

// forwarded returns what RFC 9776 section 6.3 forwards of the universe.
func (m *reference) forwarded(universe []string) set {
	f := set{}
	for _, name := range universe {
		timer, listed := m.timers[name]
		f[name] = listed && timer > 0 || m.exclude && !listed
	}
	return f
}

// TestReception plays random histories of one group to the machine and to the
// tables of the RFC, and compares state, timers, queries and what the manager
// knows, which must have no gap either.
func TestReception(t *testing.T) {
	t.Run("family=IGMP", func(t *testing.T) {
		testReception(t, IGMP, "239.1.1.1", "10.0.1.9",
			[]string{"10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5"})
	})
	t.Run("family=MLD", func(t *testing.T) {
		testReception(t, MLD, "ff1e::1", "fe80::9",
			[]string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5"})
	})
}

var kinds = []string{"IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"}

func testReception(t *testing.T, family Family, group, host string, universe []string) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		b := newBench(t, family, defaults(family))
		b.watched = true
		b.do([]string{"add"})
		m := reference{timers: map[string]time.Duration{}}
		for step := range 300 {
			d := time.Duration(random.IntN(2000)) * time.Millisecond
			if random.IntN(10) == 0 {
				d = time.Duration(random.IntN(200)) * time.Second
			}
			before := m.forwarded(universe)
			b.views = b.views[:0]
			b.advance(b.now.Add(d))
			m.pass(d)
			checkGaps(t, b, before, m.forwarded(universe), group)

			before = m.forwarded(universe)
			kind := kinds[random.IntN(len(kinds))]
			named, words := set{}, []string{host, kind, group}
			for _, name := range universe {
				if random.IntN(3) == 0 {
					named[name] = true
					words = append(words, name)
				}
			}
			b.views, b.lines = b.views[:0], b.lines[:0]
			b.do(words)
			m.receive(t, kind, named)
			checkGaps(t, b, before, m.forwarded(universe), group)
			if diff := cmp.Diff(m.String(), describe(b, group)); diff != "" {
				t.Fatalf("seed %d, step %d, %v (-want +got)\n%s", seed, step, words, diff)
			}
			checkQuestions(t, b, &m, group)
			if t.Failed() {
				t.Fatalf("seed %d, step %d: %v", seed, step, words)
			}
		}
	}
}

// checkGaps demands that the manager ends with what is to be forwarded, and that
// a source forwarded before and after is forwarded all the time, and one that is
// not is never.
func checkGaps(t *testing.T, b *bench, before, after set, group string) {
	t.Helper()
	for name, want := range after {
		source := addr(name)
		if got := b.view.forwards(source, addr(group)); got != want {
			t.Errorf("%s: the manager forwards %v, want %v", name, got, want)
		}
		for i, v := range b.views {
			if before[name] == want && v.forwards(source, addr(group)) != want {
				t.Errorf("%s: after call %d forwarded %v, before and after the record %v",
					name, i, !want, want)
			}
		}
	}
}

// checkQuestions demands that the queries sent at once name what the tables say.
func checkQuestions(t *testing.T, b *bench, m *reference, group string) {
	t.Helper()
	asked, askedGroup := set{}, false
	for _, line := range b.lines {
		_, rest, ok := strings.Cut(line, " "+group+" ")
		if !ok || !strings.Contains(line, " query ") {
			continue
		}
		if rest[0] != '[' {
			askedGroup = true
			continue
		}
		list, rest, _ := strings.Cut(rest[1:], "]")
		if strings.HasPrefix(rest, " S") {
			continue // retransmission for sources that were confirmed
		}
		for name := range strings.FieldsSeq(list) {
			asked[name] = true
		}
	}
	for name := range m.asked {
		if !asked[name] {
			t.Errorf("%s was not asked for", name)
		}
	}
	// Sources may be named that were asked for before.
	for name := range asked {
		if timer, ok := m.timers[name]; !ok || timer == 0 || timer > lmqt {
			t.Errorf("%s was asked for", name)
		}
	}
	if askedGroup != m.askedGroup {
		t.Errorf("group asked for: %v, want %v", askedGroup, m.askedGroup)
	}
}

// TestEvaluate keeps the reference honest.
func TestEvaluate(t *testing.T) {
	sets := map[string]set{"A": {"1": true, "2": true, "4": true},
		"X": {"2": true, "3": true}, "Y": {"4": true}}
	for expression, want := range map[string]set{
		"A":       {"1": true, "2": true, "4": true},
		"A*X":     {"2": true},
		"A-X-Y":   {"1": true},
		"X+(A-Y)": {"1": true, "2": true, "3": true},
	} {
		if diff := cmp.Diff(want, evaluate(expression, sets)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", expression, diff)
		}
	}
}
