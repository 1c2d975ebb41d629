package control

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the generated part of openapi.yaml")

const descriptionFile = "openapi.yaml"

// TestOpenAPI holds that openapi.yaml is a valid description, and that its
// documents are those of the program.
func TestOpenAPI(t *testing.T) {
	head, _, found := bytes.Cut(Description, []byte("\ncomponents:\n"))
	if !found {
		t.Fatal("openapi.yaml has no components")
	}
	want := string(head) + "\n" + components(t)
	if *update {
		if err := os.WriteFile(descriptionFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(Description)); diff != "" {
		t.Errorf("openapi.yaml is out of date; run: go test ./cmd/umroute/internal/control "+
			"-run TestOpenAPI -update (-want +got):\n%s", diff)
	}
	describe := loadDescription(t, []byte(want))
	if err := describe.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

func loadDescription(t *testing.T, data []byte) *openapi3.T {
	t.Helper()
	loaded, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// TestOpenAPIPaths holds that every request that the server knows is described,
// and that every description has a request.
func TestOpenAPIPaths(t *testing.T) {
	var have []string
	for path, item := range loadDescription(t, Description).Paths.Map() {
		for method := range item.Operations() {
			have = append(have, method+" "+path)
		}
	}
	slices.Sort(have)
	if diff := cmp.Diff(requests(t), have); diff != "" {
		t.Errorf("requests of the server, and of openapi.yaml (-server +described):\n%s", diff)
	}
}

// requests are the patterns that the source of this package has, and for those
// of documents one for each.
func requests(t *testing.T) []string {
	t.Helper()
	pattern := regexp.MustCompile(`^(GET|POST|PUT|DELETE|PATCH) /`)
	var all []string
	for _, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && pattern.MatchString(text) {
				all = append(all, text)
			}
			return true
		})
	}
	all = slices.DeleteFunc(all, func(text string) bool { return text == "GET /v1/{document}" })
	for _, document := range Documents {
		all = append(all, "GET /v1/"+document)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sources are the files of this package, but for tests.
func sources(t *testing.T) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
