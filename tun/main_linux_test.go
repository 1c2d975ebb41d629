package tun_test

import (
	"os"
	"testing"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// The ways in which the tests start this program again, by its first argument.
const (
	asContainer = "test-as-container" // lives in namespaces of an ordinary user
	asRouter    = "test-as-router"    // opens a device in a container's namespace
	asReceiver  = "test-as-receiver"  // is handed a device by a container
	asConfined  = "test-as-confined"  // may not use io_uring
	asPowerless = "test-as-powerless" // may not open a packet socket
	asVictim    = "test-as-victim"    // opens a device for an owner and is killed
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case tun.HelperCommand:
			os.Exit(tun.RunHelper(os.Args[2:]))
		case asContainer:
			os.Exit(report(liveInContainer()))
		case asRouter:
			os.Exit(report(routeFromOutside()))
		case asReceiver:
			os.Exit(report(receiveFromContainer()))
		case asConfined:
			os.Exit(report(useConfinedRing(os.Args[2])))
		case asPowerless:
			os.Exit(report(openWithoutRight()))
		case asVictim:
			os.Exit(report(waitForTheEnd(os.Args[2], os.Args[3])))
		}
	}
	netnstest.Main(m)
}
