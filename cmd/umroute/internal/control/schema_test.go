package control

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// described are the types that openapi.yaml has a schema of, with all that they
// hold. A new document goes here.
var described = []any{Interface{}, Group{}, Membership{}, Route{}, Protocol{}, Neighbor{},
	Stats{}, Event{}, Explanation{}, MembershipChange{}, StaticRoute{}, Attachment{},
	Detachment{}, HostGroup{}, Reload{}, failure{}}

// components is the generated part of openapi.yaml.
func components(t *testing.T) string {
	t.Helper()
	s := schemas{types: make(map[string]reflect.Type), comments: comments(t)}
	for _, value := range described {
		s.add(reflect.TypeOf(value))
	}
	var b strings.Builder
	b.WriteString(fixedComponents)
	for _, name := range s.names {
		s.write(&b, s.types[name])
	}
	return b.String()
}

const fixedComponents = `components:
  parameters:
    Watch:
      name: watch
      in: query
      description: |
        Send the document again whenever it changes, one on each line, until either side
        closes. A change of state is sent within a tenth of a second, one of counters
        alone within a second; one of times alone is none.
      schema: {type: string}
  responses:
    Done:
      description: it is done
      content:
        application/json:
          schema: {type: object}
    Failure:
      description: |
        400: the request cannot be meant; 403: the peer may not; 404: unknown; 500: it
        failed.
      content:
        application/json:
          schema: {$ref: "#/components/schemas/Failure"}
  schemas:
`

// schemas writes Go types as JSON schemas.
type schemas struct {
	types    map[string]reflect.Type
	names    []string          // in the order of their first use
	comments map[string]string // of Type and Type.Field
}

// add takes in a struct type and those of its fields.
func (s *schemas) add(t reflect.Type) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if !isOurs(t) || s.types[schemaName(t)] != nil {
		return
	}
	s.types[schemaName(t)] = t
	s.names = append(s.names, schemaName(t))
	for i := range t.NumField() {
		s.add(t.Field(i).Type)
	}
}

// isOurs says whether a type is a struct of this package. What others hand on is
// an object, of which nothing more is said.
func isOurs(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeOf(Stats{}).PkgPath()
}

func schemaName(t reflect.Type) string {
	return strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
}

func (s *schemas) write(b *strings.Builder, t reflect.Type) {
	fmt.Fprintf(b, "    %s:\n      type: object\n", schemaName(t))
	if text := s.comments[t.Name()]; text != "" {
		fmt.Fprintf(b, "      description: %q\n", text)
	}
	var required []string
	for i := range t.NumField() {
		if name, always := key(t.Field(i)); always {
			required = append(required, name)
		}
	}
	if len(required) > 0 && !isRequest(t) {
		fmt.Fprintf(b, "      required: [%s]\n", strings.Join(required, ", "))
	}
	b.WriteString("      properties:\n")
	for i := range t.NumField() {
		field := t.Field(i)
		name, _ := key(field)
		fmt.Fprintf(b, "        %s:\n", name)
		s.writeType(b, field.Type, "          ", s.comments[t.Name()+"."+field.Name])
	}
}

// isRequest says whether a type is the body of a request, of which a key may
// be missing.
func isRequest(t reflect.Type) bool {
	return slices.Contains([]reflect.Type{reflect.TypeOf(MembershipChange{}),
		reflect.TypeOf(StaticRoute{}), reflect.TypeOf(HostGroup{}),
		reflect.TypeOf(Attachment{})}, t)
}

// key is the key of a field, and whether it is always there.
func key(field reflect.StructField) (name string, always bool) {
	name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name, !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero")
}

func (s *schemas) writeType(b *strings.Builder, t reflect.Type, indent, comment string) {
	line := func(text string, args ...any) { fmt.Fprintf(b, indent+text+"\n", args...) }
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isOurs(t) {
		line("$ref: %q", "#/components/schemas/"+schemaName(t))
		return
	}
	if comment != "" {
		line("description: %q", comment)
	}
	if t == reflect.TypeOf(json.RawMessage{}) || t.Kind() == reflect.Struct {
		line("type: object")
		return
	}
	switch t.Kind() {
	case reflect.Slice:
		line("type: array")
		line("items:")
		s.writeType(b, t.Elem(), indent+"  ", "")
	case reflect.Map:
		line("type: object")
		line("additionalProperties:")
		s.writeType(b, t.Elem(), indent+"  ", "")
	default:
		line("type: %s", simpleTypes[t.Kind()])
	}
}

var simpleTypes = map[reflect.Kind]string{
	reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number",
	reflect.Int: "integer", reflect.Int64: "integer", reflect.Uint64: "integer",
	reflect.Uint32: "integer", reflect.Uint16: "integer", reflect.Uint8: "integer",
}

// comments are those of the types and fields of this package, on one line each.
func comments(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			declaration, ok := n.(*ast.GenDecl)
			if !ok {
				return true
			}
			for _, spec := range declaration.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					all[spec.Name.Name] = sentence(declaration.Doc)
					fieldComments(all, spec)
				}
			}
			return true
		})
	}
	return all
}

func fieldComments(all map[string]string, spec *ast.TypeSpec) {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range structure.Fields.List {
		texts := []string{sentence(field.Doc), sentence(field.Comment)}
		texts = slices.DeleteFunc(texts, func(text string) bool { return text == "" })
		for _, name := range field.Names {
			all[spec.Name.Name+"."+name.Name] = strings.Join(texts, " ")
		}
	}
}

// sentence is a comment on one line.
func sentence(comment *ast.CommentGroup) string {
	return strings.Join(strings.Fields(comment.Text()), " ")
}
