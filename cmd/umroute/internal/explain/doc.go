// Package explain says why a flow is forwarded to an interface, or why it is
// not: one cause, the rule behind it, and what to do. It decides on facts that
// others have gathered, and knows neither packets nor devices.
package explain
