package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/config"
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
			settings, err := loadConfig(c.String("config"))
			if err != nil {
				return err
			}
			if name := c.String("name"); name != "" {
				if err := config.CheckName(name); err != nil {
					return usagef("--name: %w", err)
				}
				settings.Name = name
			}
			return runRouter(c.Context, settings, c.String("socket"), newLogger(c, settings.Log))
		},
	}
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

func newLogger(c *cli.Context, settings config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: settings.Level}
	if settings.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(c.App.ErrWriter, options))
	}
	return slog.New(slog.NewTextHandler(c.App.ErrWriter, options))
}

// runRouter runs until a signal ends ctx.
func runRouter(ctx context.Context, settings *config.Config, socket string,
	log *slog.Logger) error {
	// A terminal that goes away is no reason to stop.
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
	r, err := router.New(settings, router.Options{Logger: log, Version: version(),
		Access: access})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go refuseReload(ctx, hangup, log)
	return r.Serve(ctx, listener, func() {
		log.Info("ready", "router", settings.Name, "interfaces", len(settings.Interfaces),
			"socket", socket)
		if err := notifySystemd("READY=1"); err != nil {
			log.Warn("systemd not told", "err", err)
		}
	})
}

func refuseReload(ctx context.Context, hangup <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			log.Warn("reload is not supported yet: nothing was changed")
		}
	}
}

// notifySystemd writes a state to the socket that systemd listens on, if it
// started this process (sd_notify(3)).
func notifySystemd(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}
