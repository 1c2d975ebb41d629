package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/smcroute"
)

// smcrouteName is the program of SMCRoute whose command line umroute
// understands, also under this name.
const smcrouteName = "smcroutectl"

// asSMCRoute makes "smcroutectl ..." into "umroute smcroutectl ...".
func asSMCRoute(args []string) []string {
	if len(args) == 0 || filepath.Base(args[0]) != smcrouteName {
		return args
	}
	return append([]string{"umroute", smcrouteName}, args[1:]...)
}

// smcroutectlCommand speaks to a router as smcroutectl(8) does to smcrouted.
func smcroutectlCommand() *cli.Command {
	return &cli.Command{
		Name: smcrouteName, Usage: "the commands of SMCRoute: add, remove, join, leave, show, flush",
		ArgsUsage:       "[-bdpt] [-i NAME] [-u SOCKET] COMMAND [ARGUMENT...]",
		SkipFlagParsing: true, // a flag may only stand before the command
		Action: func(c *cli.Context) error {
			s := &smcroutectl{out: c.App.Writer, in: os.Stdin}
			rest, err := s.flags(c.Args().Slice())
			if err != nil {
				return usagef("%s: %w", smcrouteName, err)
			}
			if s.client, err = s.dial(); err != nil {
				return err
			}
			if s.batch {
				return s.runBatch(c.Context)
			}
			return s.run(c.Context, rest)
		},
	}
}

// smcroutectl is one call of it.
type smcroutectl struct {
	client *control.Client
	in     io.Reader
	out    io.Writer

	name, socket                    string
	batch, detail, plain, noHeading bool
}

// flags reads the options before the command.
func (s *smcroutectl) flags(args []string) (rest []string, err error) {
	set := flag.NewFlagSet(smcrouteName, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.BoolVar(&s.batch, "b", false, "")
	set.BoolVar(&s.detail, "d", false, "")
	set.BoolVar(&s.plain, "p", false, "") // it always is
	set.BoolVar(&s.noHeading, "t", false, "")
	for _, name := range []string{"i", "I"} { // -I until SMCRoute 2.5
		set.StringVar(&s.name, name, "", "")
	}
	set.StringVar(&s.socket, "u", "", "")
	err = set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return []string{"help"}, nil
	}
	return set.Args(), err
}

func (s *smcroutectl) dial() (*control.Client, error) {
	switch {
	case s.socket != "":
		return control.Dial(s.socket), nil
	case s.name != "":
		return control.Dial(control.SocketPath(s.name)), nil
	}
	path, err := control.Find()
	if err != nil {
		return nil, err
	}
	return control.Dial(path), nil
}

// runBatch runs the commands on the lines of the standard input, up to the
// first that fails.
func (s *smcroutectl) runBatch(ctx context.Context) error {
	lines := bufio.NewScanner(s.in)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if words := strings.Fields(text); len(words) > 0 {
			if err := s.run(ctx, words); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

// smcrouteHelp is "smcroutectl help".
const smcrouteHelp = `Commands, which may be shortened:
  add IIF [SOURCE[/LEN]] GROUP[/LEN] OIF...       add a route, or outputs to one
  remove IIF [SOURCE[/LEN]] GROUP[/LEN] [OIF...]  remove a route, or outputs of one
  join IIF [SOURCE] GROUP[/LEN]                   join a group on an interface
  leave IIF [SOURCE] GROUP[/LEN]                  leave it
  show [routes|groups|interfaces]                 print routes, groups or interfaces
  flush                                           look all flows up again
  kill                                            stop the router
  version, help
`

// run runs one command. Its name may be cut off where that leaves one.
func (s *smcroutectl) run(ctx context.Context, words []string) error {
	if len(words) == 0 {
		words = []string{"show"}
	}
	commands := map[string]func(context.Context, []string) error{
		"add": s.add, "remove": s.remove, "join": s.join, "leave": s.leave,
		"show": s.show, "flush": s.flush, "kill": s.kill,
		"version": func(context.Context, []string) error {
			_, err := fmt.Fprintf(s.out, "umroute %s\n", version())
			return err
		},
		"help": func(context.Context, []string) error {
			_, err := io.WriteString(s.out, smcrouteHelp)
			return err
		},
	}
	name, err := complete(words[0], "command", commands)
	if err != nil {
		return err
	}
	return commands[name](ctx, words[1:])
}

// complete finds the only key that begins with word.
func complete[T any](word, what string, keys map[string]T) (string, error) {
	var found []string
	for key := range keys {
		if key == word {
			return key, nil
		}
		if strings.HasPrefix(key, word) {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", usagef("%s: %s %q may be %s", smcrouteName, what, word,
			strings.Join(found, " or "))
	}
	return "", usagef("%s: unknown %s %q; run '%s help'", smcrouteName, what, word, smcrouteName)
}

func (s *smcroutectl) flush(ctx context.Context, rest []string) error {
	if len(rest) > 0 {
		return usagef("%s flush: unexpected argument %q", smcrouteName, rest[0])
	}
	return s.client.FlushRoutes(ctx)
}

// kill ends the router as SIGTERM does.
func (s *smcroutectl) kill(ctx context.Context, _ []string) error {
	var stats control.Stats
	if err := s.client.Show(ctx, "stats", &stats); err != nil {
		return err
	}
	if err := syscall.Kill(stats.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop router %s with process %d: %w", stats.Name, stats.PID, err)
	}
	return nil
}

// named gives the interfaces of the router that a name or pattern stands for.
func (s *smcroutectl) named(ctx context.Context, patterns ...string) ([]string, error) {
	var interfaces []control.Interface
	if err := s.client.Show(ctx, "interfaces", &interfaces); err != nil {
		return nil, err
	}
	var names []string
	for _, pattern := range patterns {
		found := false
		for _, i := range interfaces {
			if !smcroute.Matches(pattern, i.Name) {
				continue
			}
			found = true
			if !slices.Contains(names, i.Name) {
				names = append(names, i.Name)
			}
		}
		if !found {
			return nil, fmt.Errorf("%s: the router has no interface %s", smcrouteName, pattern)
		}
	}
	return names, nil
}
