// Command umroute is a multicast router for ordinary users: it carries
// multicast between containers, network namespaces and labs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"umroute/bench"
	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/demo"
	"umroute/cmd/umroute/internal/doctor"
	"umroute/tun"
)

// The exit statuses of every command.
const (
	statusDone   = 0
	statusFailed = 1 // failed while running
	statusUsage  = 2 // wrong usage or configuration
)

func main() {
	runAsHelper()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := execute(ctx, asSMCRoute(os.Args), os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// runAsHelper is this program as it starts itself, for a task in other
// namespaces.
func runAsHelper() {
	switch {
	case len(os.Args) < 2:
	case os.Args[1] == tun.HelperCommand:
		os.Exit(tun.RunHelper(os.Args[2:]))
	case os.Args[1] == doctor.ProbeCommand:
		os.Exit(doctor.RunProbe(os.Stdout))
	case os.Args[1] == demo.HostsCommand:
		os.Exit(demo.RunHosts())
	case os.Args[1] == execHelper && len(os.Args) > 2:
		os.Exit(runWhenAttached(os.Args[2:]))
	case bench.IsHelper(os.Args[1]):
		os.Exit(bench.RunHelper(os.Args[1]))
	}
}

// execute runs one command line and gives the exit status.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := newApp(stdout, stderr).RunContext(ctx, args)
	if err == nil {
		return statusDone
	}
	if status, only := errors.AsType[exitStatus](err); only {
		return int(status)
	}
	tell(stderr, err)
	if _, usage := errors.AsType[usageError](err); usage {
		return statusUsage
	}
	return statusFailed
}

// tell prints an error. What is wrong with a configuration begins with the file
// and the line, as editors expect it.
func tell(stderr io.Writer, err error) {
	if problems, wrong := errors.AsType[config.Problems](err); wrong {
		fmt.Fprintln(stderr, problems)
		return
	}
	if _, silent := errors.AsType[silentError](err); !silent {
		fmt.Fprintf(stderr, "umroute: %v\n", err)
	}
}

// usageError marks an error of the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// silentError has been told already.
type silentError struct{ error }

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:      "umroute",
		Usage:     "a multicast router for ordinary users",
		Version:   version(),
		Writer:    stdout,
		ErrWriter: stderr,
		Commands: []*cli.Command{
			runCommand(),
			checkCommand(),
			demoCommand(),
			showCommand(),
			explainCommand(),
			doctorCommand(),
			topCommand(),
			clearCommand(),
			attachCommand(),
			detachCommand(),
			execCommand(),
			reloadCommand(),
			membershipCommand("join"),
			membershipCommand("leave"),
			routeCommand(),
			smcroutectlCommand(),
			sendCommand(),
			recvCommand(),
			benchCommand(),
			completionCommand(),
			completeCommand(),
			manCommand(),
		},
		Action:          rejectUnknown("umroute"),
		ExitErrHandler:  func(*cli.Context, error) {}, // execute decides
		HideHelpCommand: true,
	}
	setUsageErrors(app.Commands)
	app.OnUsageError = usageErrorOf
	return app
}

// setUsageErrors makes each wrong flag exit with statusUsage and one line.
func setUsageErrors(commands []*cli.Command) {
	for _, command := range commands {
		command.OnUsageError = usageErrorOf
		command.HideHelpCommand = true
		setUsageErrors(command.Subcommands)
	}
}

func usageErrorOf(c *cli.Context, err error, _ bool) error {
	return usagef("%w\nrun '%s --help' for the flags", err, c.Command.HelpName)
}

// rejectUnknown is the action where only a subcommand makes sense.
func rejectUnknown(parent string) cli.ActionFunc {
	return func(c *cli.Context) error {
		if !c.Args().Present() {
			c.App.Writer = c.App.ErrWriter // nobody asked for help
			if err := cli.ShowSubcommandHelp(c); err != nil {
				return err
			}
			return usageError{silentError{errors.New("no command given")}}
		}
		return usagef("unknown command %q; run '%s --help' for the list",
			c.Args().First(), parent)
	}
}

// needed refuses a command line without one of its flags. The library's own
// check would print the help, and give no way to know a wrong usage.
func needed(c *cli.Context, flags ...string) error {
	for _, flag := range flags {
		if !c.IsSet(flag) {
			return usagef("%s: --%s is needed; run '%s --help' for the flags", c.Command.Name,
				flag, c.Command.HelpName)
		}
	}
	return nil
}

// noArguments refuses what stands behind the flags. The flag package ends at
// the first word that is no flag, so a flag behind one would be lost.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("%s: unexpected argument %q", c.Command.Name, c.Args().First())
	}
	return nil
}
