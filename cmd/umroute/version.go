package main

import (
	"cmp"
	"runtime/debug"
)

// release is the version in CHANGELOG.md that this tree will become.
const release = "0.1.0"

// version names the release and, where the build knows it, the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	return versionOf(info)
}

// versionOf is the version of a build: that of the module where "go install
// MODULE@VERSION" made it, else the release with what the checkout was.
func versionOf(info *debug.BuildInfo) string {
	settings := make(map[string]string)
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	revision := settings["vcs.revision"]
	if module := info.Main.Version; revision == "" {
		if module == "(devel)" {
			module = ""
		}
		return cmp.Or(module, release)
	}
	text := release + "+" + revision[:min(len(revision), 12)]
	if settings["vcs.modified"] == "true" {
		text += ".modified"
	}
	return text
}
