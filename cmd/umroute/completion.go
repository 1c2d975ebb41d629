package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The scripts that have a shell ask completeCommand.
var (
	//go:embed completion/umroute.bash
	bashCompletion string
	//go:embed completion/umroute.zsh
	zshCompletion string
	//go:embed completion/umroute.fish
	fishCompletion string
)

func completionCommand() *cli.Command {
	scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion,
		"fish": fishCompletion}
	return &cli.Command{
		Name: "completion", Usage: "print the script that completes commands in a shell",
		ArgsUsage: "bash|zsh|fish",
		Action: func(c *cli.Context) error {
			script, known := scripts[c.Args().First()]
			if !known || c.NArg() != 1 {
				return usagef("completion: give one of bash, zsh and fish")
			}
			_, err := fmt.Fprint(c.App.Writer, script)
			return err
		},
	}
}

// completeCommand prints what may stand in place of the last of its arguments,
// which are the words of a command line behind the program's name. Each line is
// a word, a tab and what it means.
func completeCommand() *cli.Command {
	return &cli.Command{
		Name: "complete", Hidden: true, SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			for _, each := range candidates(c.App.Commands, c.Args().Slice()) {
				if _, err := fmt.Fprintf(c.App.Writer, "%s\t%s\n", each.word, each.usage); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// candidate is a word that completes a command line.
type candidate struct{ word, usage string }

// candidates are the subcommands or flags that the last of words may become;
// none where it is a value.
func candidates(commands []*cli.Command, words []string) []candidate {
	if len(words) == 0 {
		words = []string{""}
	}
	partial := words[len(words)-1]
	var flags []cli.Flag
	value := false
	for _, word := range words[:len(words)-1] {
		if found := commandNamed(commands, word); found != nil && !value {
			commands, flags = found.Subcommands, found.Flags
			continue
		}
		value = !value && takesValue(flags, word)
	}
	if value {
		return nil
	}
	all := commandCandidates(commands)
	if strings.HasPrefix(partial, "-") {
		all = flagCandidates(flags)
	}
	return slices.DeleteFunc(all, func(c candidate) bool {
		return !strings.HasPrefix(c.word, partial)
	})
}

func commandNamed(commands []*cli.Command, name string) *cli.Command {
	for _, command := range commands {
		if command.HasName(name) {
			return command
		}
	}
	return nil
}

func commandCandidates(commands []*cli.Command) (all []candidate) {
	for _, command := range commands {
		if !command.Hidden {
			all = append(all, candidate{command.Name, command.Usage})
		}
	}
	return all
}

func flagCandidates(flags []cli.Flag) []candidate {
	all := []candidate{{"--help", "show help"}}
	for _, flag := range flags {
		usage := ""
		if documented, ok := flag.(cli.DocGenerationFlag); ok {
			usage = strings.ReplaceAll(documented.GetUsage(), "`", "")
		}
		all = append(all, candidate{"--" + flag.Names()[0], usage})
	}
	return all
}

// takesValue says whether a word is a flag whose value is the next word.
func takesValue(flags []cli.Flag, word string) bool {
	name := strings.TrimLeft(word, "-")
	if name == word {
		return false
	}
	for _, flag := range flags {
		documented, ok := flag.(cli.DocGenerationFlag)
		if ok && slices.Contains(flag.Names(), name) {
			return documented.TakesValue()
		}
	}
	return false
}
