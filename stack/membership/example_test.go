package membership_test

import (
	"fmt"
	"net/netip"
	"time"

	"umroute/mgm"
	"umroute/stack/igmp"
	"umroute/stack/membership"
)

// printer is both the link and the manager of the example.
type printer struct{}

func (printer) Send(index uint32, packet []byte) error {
	p, err := igmp.ParsePacket(packet)
	fmt.Println("query to", p.Destination)
	return err
}

func (printer) AddMembership(e mgm.Entry, _ mgm.Iface, _ mgm.StateFlags) error {
	fmt.Println("members of", e.Group)
	return nil
}

func (printer) DeleteMembership(e mgm.Entry, _ mgm.Iface, _ mgm.StateFlags) error {
	fmt.Println("no members of", e.Group)
	return nil
}

// A host joins a group, leaves it, and the last member query time passes.
func Example() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	router := membership.New(membership.Config{Sender: printer{}, Members: printer{}})
	err := router.AddInterface(now, membership.InterfaceConfig{
		Index: 1, Name: "red", Address: netip.MustParseAddr("10.0.1.1")})
	if err != nil {
		fmt.Println(err)
	}
	host, group := netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("239.1.1.1")
	for _, change := range []igmp.RecordType{igmp.ToExclude, igmp.ToInclude} {
		packet, err := igmp.AppendPacket(nil, host, igmp.AllV3Routers, &igmp.Report{
			Records: []igmp.Record{{Type: change, Group: group}}})
		if err != nil {
			fmt.Println(err)
		}
		router.Handle(now, 1, packet)
	}
	for range 2 {
		now, _ = router.Deadline()
		router.Advance(now)
	}
	// Output:
	// query to 224.0.0.1
	// members of 239.1.1.1
	// query to 239.1.1.1
	// query to 239.1.1.1
	// no members of 239.1.1.1
}
