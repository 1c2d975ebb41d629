// Package witness has programs from outside send and receive what this
// benchmark otherwise does itself, so that nobody has to believe its own
// counting: iperf 2 (iperf 3 knows no multicast).
package witness
