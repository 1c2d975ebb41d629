package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCandidates(t *testing.T) {
	tests := []struct {
		line string // the last word is to be completed
		want string // the candidates
	}{
		{"sh", "show"},
		{"show gr", "groups"},
		{"show groups --", "--help --name --socket --json --watch"},
		{"show --json gr", "groups"},
		{"show --name gr", ""}, // a value
		{"show --name show gr", "groups"},
		{"explain --so", "--socket --source"},
		{"run -c ", ""},
		{"run -c FILE --n", "--name"},
		{"join 239.1.1.1 ", ""},
		{"route ad", "add"},
		{"horse", ""},
		{"comple", "completion"}, // and not the hidden one
	}
	commands := newApp(os.Stdout, os.Stderr).Commands
	for _, test := range tests {
		var words []string
		for _, c := range candidates(commands, strings.Split(test.line, " ")) {
			words = append(words, c.word)
		}
		if diff := cmp.Diff(test.want, strings.Join(words, " ")); diff != "" {
			t.Errorf("umroute %s (-want +got):\n%s", test.line, diff)
		}
	}
	if all := candidates(commands, nil); len(all) < 10 {
		t.Errorf("umroute alone: %v", all)
	}
}

// TestCompletion has each shell that is installed run its script.
func TestCompletion(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	if err := os.Symlink(command(t).Path, filepath.Join(bin, programName)); err != nil {
		t.Fatal(err)
	}
	shells := map[string]string{
		"bash": `source <(umroute completion bash)
COMP_WORDS=(umroute show gr) COMP_CWORD=2 && _umroute && echo "${COMPREPLY[@]}"
COMP_WORDS=(umroute run --n) COMP_CWORD=2 && _umroute && echo "${COMPREPLY[@]}"`,
		"zsh": `compdef() { : }
_describe() { for each in "${(@P)2}"; do print -r -- "${each%%:*}"; done }
source <(umroute completion zsh)
words=(umroute show gr) CURRENT=3 && _umroute
words=(umroute run --n) CURRENT=3 && _umroute`,
		"fish": `umroute completion fish | source
complete -C "umroute show gr" | string replace -r "\t.*" ""
complete -C "umroute run --n" | string replace -r "\t.*" ""`,
	}
	for shell, script := range shells {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("%s is not installed", shell)
			}
			cmd := exec.Command(shell, "-c", script)
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+bin)
			cmd.Dir = bin
			out, err := cmd.CombinedOutput()
			if diff := cmp.Diff("groups\n--name\n", string(out)); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	for _, args := range [][]string{{"completion"}, {"completion", "csh"}} {
		if _, stderr, status := run(t, args...); status != statusUsage || stderr == "" {
			t.Errorf("%v: status %d, %s", args, status, stderr)
		}
	}
}
