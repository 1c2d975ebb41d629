// Package uring makes many reads and writes in one system call, by Linux'
// io_uring. It does only what a packet path needs: operations that never wait.
package uring
