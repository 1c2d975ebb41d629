package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documentFile is the reference for people. It is made from reference.yaml, which
// other tests hold against the program.
const documentFile = "../../../../docs/configuration.md"

// TestReferenceDocument holds that docs/configuration.md is up to date.
func TestReferenceDocument(t *testing.T) {
	data, err := os.ReadFile("reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := referenceDocument(string(data))
	if *update {
		if err := os.WriteFile(documentFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is out of date; run: go test ./cmd/umroute/internal/config "+
			"-run TestReferenceDocument -update", documentFile)
	}
}

// TestReferenceDocumentKeys holds that no key of reference.yaml got lost.
func TestReferenceDocumentKeys(t *testing.T) {
	data, err := os.ReadFile("reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	document := referenceDocument(string(data))
	keys := regexp.MustCompile(`(?m)^ *(?:- )?([a-z][a-z-]*):`).FindAllStringSubmatch(string(data), -1)
	if len(keys) < 40 {
		t.Fatalf("only %d keys", len(keys))
	}
	for _, key := range keys {
		if !strings.Contains(document, key[1]) {
			t.Errorf("%s lacks %s", documentFile, key[1])
		}
	}
}

// item is a key of reference.yaml with the comment in front of it.
type item struct {
	path    string // "interfaces.NAME.igmp.version"
	comment string
	example string // its value where that is on the same line
}

// interfaceNames are those that the reference uses: they stand for any.
var interfaceNames = regexp.MustCompile(`^interfaces\.(red|blue|lan|wan|home)\b`)

// The lines of reference.yaml, which is written plainly enough for that: block
// mappings, comments in front of keys.
var (
	keyLine     = regexp.MustCompile(`^( *)(- )?([A-Za-z][A-Za-z0-9-]*):(?: (.*))?$`)
	elementLine = regexp.MustCompile(`^ *- (\{.*\})$`)
	insteadLine = regexp.MustCompile(`^( *)# ([a-z-]+): (/\S+)$`) // a key that excludes others
)

// reader goes through reference.yaml.
type reader struct {
	intro   string
	items   []item
	comment []string
	path    []string
	columns []int // of the keys of path
}

func (r *reader) read(line string) {
	line = strings.TrimRight(line, "\n")
	if match := insteadLine.FindStringSubmatch(line); match != nil {
		r.key(len(match[1]), match[2], match[3])
		return
	}
	if body, is := strings.CutPrefix(strings.TrimSpace(line), "#"); is {
		r.comment = append(r.comment, strings.TrimSpace(body))
		return
	}
	if line == "" && len(r.items) == 0 && r.intro == "" {
		r.intro = strings.Join(r.comment, "\n")
	}
	match := keyLine.FindStringSubmatch(line)
	if match == nil {
		element := elementLine.FindStringSubmatch(line)
		if last := len(r.items) - 1; element != nil && r.items[last].example == "" {
			r.items[last].example = "[" + element[1] + "]"
		}
		r.comment = nil
		return
	}
	r.key(len(match[1])+len(match[2]), match[3], match[4])
	r.comment = nil
}

// key notes a key, which is below those that stand further to the left.
func (r *reader) key(column int, name, value string) {
	for last := len(r.columns) - 1; last >= 0 && r.columns[last] >= column; last-- {
		r.path, r.columns = r.path[:last], r.columns[:last]
	}
	r.path, r.columns = append(r.path, name), append(r.columns, column)
	example, behind, _ := strings.Cut(value, " # ")
	comment := strings.Join(append(slices.Clone(r.comment), behind), " ")
	path := interfaceNames.ReplaceAllString(strings.Join(r.path, "."), "interfaces.NAME")
	r.items = append(r.items, item{path: path, comment: strings.TrimSpace(comment),
		example: example})
}

// referenceDocument writes the reference for people: a part for each mapping, in
// the order in which they begin.
func referenceDocument(text string) string {
	var r reader
	for line := range strings.Lines(text) {
		r.read(line)
	}
	sections := []string{""}
	for _, each := range r.items {
		if at, _, _ := cutLast(each.path); !slices.Contains(sections, at) {
			sections = append(sections, at)
		}
	}
	var b strings.Builder
	b.WriteString("# Configuration\n\n" +
		"<!-- Made from cmd/umroute/internal/config/reference.yaml; run:\n" +
		"     go test ./cmd/umroute/internal/config -run TestReferenceDocument -update -->\n\n" +
		paragraph(r.intro) + "\n\n`umroute check -c FILE` validates a configuration and says what " +
		"is wrong, with line and\ncolumn. `umroute reload`, or SIGHUP, applies what differs to a " +
		"running router; a wrong file\nchanges nothing. The whole file, as an example that is " +
		"tested, is\n[reference.yaml](../cmd/umroute/internal/config/reference.yaml).\n")
	for _, section := range sections {
		if section != "interfaces" { // which has names alone
			writeSection(&b, section, sections, r.items)
		}
	}
	return b.String()
}

// writeSection writes the keys of one mapping: a table of those that have a
// value, and in front of it what the mapping is for.
func writeSection(b *strings.Builder, section string, sections []string, items []item) {
	title := "`" + section + "`"
	if section == "" {
		title = "The file"
	}
	fmt.Fprintf(b, "\n## %s\n", title)
	for _, each := range items {
		inside := section == "interfaces.NAME" && each.path == "interfaces"
		if (each.path == section || inside) && each.comment != "" {
			fmt.Fprintf(b, "\n%s\n", paragraph(each.comment))
		}
	}
	b.WriteString("\n| key | meaning | default | example |\n|---|---|---|---|\n")
	seen := make(map[string]bool)
	for _, each := range items {
		at, key, _ := cutLast(each.path)
		if at != section || each.comment == "" && seen[key] {
			continue // elsewhere, or a second example
		}
		seen[key] = true
		meaning, standard := split(each.comment)
		if slices.Contains(sections, each.path) || each.path == "interfaces" {
			meaning, standard = "see below", ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, meaning, standard, code(each.example))
	}
}

// cutLast takes the last key off a path.
func cutLast(path string) (before, last string, found bool) {
	at := strings.LastIndex(path, ".")
	if at < 0 {
		return "", path, false
	}
	return path[:at], path[at+1:], true
}

// split takes the default out of a comment.
func split(comment string) (meaning, standard string) {
	found := regexp.MustCompile(`Defaults?: (.*?)\.?$`).FindStringSubmatchIndex(comment)
	if found == nil {
		return cellText(comment), ""
	}
	return cellText(strings.TrimSpace(comment[:found[0]])), cellText(comment[found[2]:found[3]])
}

// cellText is safe in a table.
func cellText(text string) string { return strings.ReplaceAll(paragraph(text), "|", `\|`) }

// paragraph is safe in Markdown.
func paragraph(text string) string {
	return strings.NewReplacer("<", "&lt;", "*", `\*`).Replace(text)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}
