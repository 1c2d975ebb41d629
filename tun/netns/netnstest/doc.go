// Package netnstest lets tests make network namespaces, devices and traffic
// without touching the machine and, where user namespaces are on, without
// privilege.
//
// A package whose tests need it has
//
//	func TestMain(m *testing.M) { netnstest.Main(m) }
//
// and each such test starts with [NewHost] or [Require]. The tests then run as
// root of namespaces of their own, which end with them, whatever happens. Two
// environment variables matter:
//
//   - UMROUTE_REQUIRE_NETNS=1 makes a test that cannot run fail, where it
//     would be skipped.
//   - UMROUTE_TEST_USER=nobody, for root, runs the tests as an ordinary user.
package netnstest
