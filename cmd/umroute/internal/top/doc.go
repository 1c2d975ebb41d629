// Package top shows a running router live: interfaces with their rates, groups
// with their members, forwarding entries, and events as they come. On a terminal
// it fills the screen and takes keys; elsewhere it prints lines.
package top
