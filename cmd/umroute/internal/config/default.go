package config

import (
	"fmt"
	"log/slog"
)

// Default returns the configuration of a router that has no interface yet.
func Default() *Config {
	return &Config{
		Name:    "umroute",
		Log:     Log{Level: slog.LevelInfo, Format: LogText},
		Unicast: Unicast{Forward: true, Kernel: true},
	}
}

// CheckName says what is wrong with a router's name that no file has.
func CheckName(name string) error {
	if !validName(name) || !fitsSocket(name) {
		return fmt.Errorf("router name %s: want %s, not beginning with '.' or '-'",
			quote(name), namePattern)
	}
	return nil
}
