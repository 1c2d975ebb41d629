// Package netns finds, enters and makes Linux network namespaces.
//
// A namespace is named as people name it: "red" for /run/netns/red, an
// absolute path, "pid:42" for the namespace of a process, and "self" or the
// empty string for the one that this process runs in. [Resolve] turns such a
// name into a path, and [Do] runs a function inside. [New] makes a namespace
// without a name, which lives as long as something holds it.
//
// Network namespaces belong to threads. Every function here works on a thread
// of its own and gives it back only once it is where it was before; code that
// runs in [Do] must not start goroutines and expect them to be inside too. A
// socket stays in the namespace that it was opened in.
package netns
