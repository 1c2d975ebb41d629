package top

import (
	"strings"
	"unicode"
)

// The escape sequences of reverse video (ECMA-48 section 8.3.117).
const (
	reverseOn  = "\x1b[7m"
	reverseOff = "\x1b[27m"
)

func reversed(text string) string { return reverseOn + text + reverseOff }

// pad makes a text as wide as the screen.
func pad(text string, width int) string {
	if n := width - len([]rune(text)); n > 0 {
		return text + strings.Repeat(" ", n)
	}
	return text
}

// clean leaves out what would move the cursor: names come from outside.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

// cut shortens a line to the width of the screen. Escape sequences have none.
func cut(line string, width int) string {
	var b strings.Builder
	column, escape := 0, false
	for _, r := range line {
		switch {
		case escape:
			b.WriteRune(r)
			escape = r != 'm'
		case r == '\x1b':
			b.WriteRune(r)
			escape = true
		case column < width:
			b.WriteRune(r)
			column++
		}
	}
	return b.String()
}
