// Package config reads the configuration of a router: strict YAML, in which
// an unknown key, a wrong type or a value that cannot work is an error with
// line and column, and all errors are told at once.
//
// The result is typed and complete: every default is filled in, so that the
// wiring of the router decides nothing. reference.yaml explains each key.
//
// Deliberately missing: anything that touches the system. Whether a namespace
// exists or a descriptor is open is found out by whoever opens it.
package config
