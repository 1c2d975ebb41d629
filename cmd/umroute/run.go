package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/confine"
	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/router"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run a router in the foreground",
		Flags: routerFlags(configFlag()),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			load, err := loader(c)
			if err != nil {
				return err
			}
			settings, err := load()
			if err != nil {
				return err
			}
			level := new(slog.LevelVar)
			level.Set(settings.Log.Level)
			options := router.Options{Logger: newLogger(c, settings.Log.Format, level),
				Version:  version(),
				Reloaded: func(next *config.Config) { level.Set(next.Log.Level) }}
			if c.IsSet("config") {
				options.Load = load
			}
			return runRouter(c.Context, settings, c.String("socket"), options)
		},
	}
}

// loader gives what reads the configuration that the flags name, now and
// whenever it is to be reloaded.
func loader(c *cli.Context) (func() (*config.Config, error), error) {
	name := c.String("name")
	if name != "" {
		if err := config.CheckName(name); err != nil {
			return nil, usagef("--name: %w", err)
		}
	}
	path := c.String("config")
	return func() (*config.Config, error) {
		settings, err := loadConfig(path)
		if err == nil && name != "" {
			settings.Name = name
		}
		return settings, err
	}, nil
}

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Aliases: []string{"c"}, TakesFile: true,
		Usage: "the configuration `FILE` (YAML)"}
}

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "validate a configuration; print what is wrong, with line and column",
		Flags: []cli.Flag{configFlag()},
		Action: func(c *cli.Context) error {
			if err := cmp.Or(needed(c, "config"), noArguments(c)); err != nil {
				return err
			}
			settings, err := loadConfig(c.String("config"))
			if err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%s: ok, router %q with %d interfaces\n",
				c.String("config"), settings.Name, len(settings.Interfaces))
			return nil
		},
	}
}

// loadConfig reads a configuration; without a file it is a router that has
// no interface yet.
func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		return config.Default(), nil
	}
	settings, err := config.Load(path)
	if err != nil {
		return nil, usageError{err}
	}
	return settings, nil
}

func newLogger(c *cli.Context, format config.LogFormat, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(c.App.ErrWriter, options))
	}
	return slog.New(slog.NewTextHandler(c.App.ErrWriter, options))
}

// runRouter runs until a signal ends ctx.
func runRouter(ctx context.Context, settings *config.Config, socket string,
	options router.Options) error {
	// A terminal that goes away is no reason to stop, nor a log that nobody reads.
	signal.Ignore(syscall.SIGPIPE)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	if socket == "" {
		socket = control.SocketPath(settings.Name)
	}
	// First of all: a router of the same name has the devices, too.
	access, err := control.NewAccess(settings.Control.ReadGroup)
	if err != nil {
		return err
	}
	listener, err := control.Listen(socket, access)
	if err != nil {
		return err
	}
	defer listener.Close()
	options.Access = access
	r, err := router.New(settings, options)
	if err != nil {
		return err
	}
	// What the devices needed is not needed any more. Without, it runs as well.
	if err := confine.Process(); err != nil {
		options.Logger.Warn("the router keeps rights that it does not need", "err", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log, manager := options.Logger, newServiceManager(options.Logger)
	go reloadOn(ctx, hangup, r, manager)
	go manager.keepWatchdog(ctx, r)
	stopping := context.AfterFunc(ctx, func() { manager.tell("STOPPING=1") })
	defer stopping()
	return r.Serve(ctx, listener, func() {
		log.Info("ready", "router", settings.Name, "interfaces", len(settings.Interfaces),
			"socket", socket)
		manager.tell("READY=1")
	})
}

// reloadOn reloads the configuration with each signal. The router logs how that
// went.
func reloadOn(ctx context.Context, hangup <-chan os.Signal, r *router.Router,
	manager serviceManager) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			manager.reloading()
			_, _ = r.Reload(ctx)
			manager.tell("READY=1")
		}
	}
}
