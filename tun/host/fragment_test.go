package host

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"umroute/tun"
)

// cut is a fragment of a datagram of IPv4.
func cut(id uint16, data []byte, from, to int) *fragment {
	frame := make([]byte, tun.VirtioHeaderLen+ipv4HeaderLen)
	ip := frame[tun.VirtioHeaderLen:]
	ip[0], ip[8], ip[9] = 0x45, 9, protocolUDP
	copy(ip[12:], []byte{10, 0, 1, 2, 239, 1, 1, 1})
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4HeaderLen+to-from))
	binary.BigEndian.PutUint16(ip[4:], id)
	field := uint16(from / 8)
	if to < len(data) {
		field |= moreFragments
	}
	binary.BigEndian.PutUint16(ip[6:], field)
	f := new(fragment)
	if !f.parse(append(frame, data[from:to]...)) {
		return nil
	}
	return f
}

// TestAssemblesInAnyOrder cuts datagrams anywhere and shuffles the parts of
// several.
func TestAssemblesInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	now := time.Unix(1_000_000, 0)
	for range 200 {
		var a assemblies
		var parts []*fragment
		want := make(map[string]bool)
		for id := range uint16(3) {
			data := make([]byte, 9+random.IntN(9000))
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			want[string(data)] = true
			for from := 0; from < len(data); {
				to := min(from+8*(1+random.IntN(200)), len(data))
				parts = append(parts, cut(id, data, from, to))
				from = to
			}
		}
		random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		for _, f := range parts {
			if packet := a.add(now, f); packet != nil {
				ip := packet[tun.VirtioHeaderLen:]
				if int(binary.BigEndian.Uint16(ip[2:])) != len(ip) || ip[6] != 0 || ip[7] != 0 {
					t.Fatalf("header %x of %d octets", ip[:20], len(ip))
				}
				delete(want, string(ip[20:]))
			}
		}
		if len(want) > 0 || len(a.pending) > 0 {
			t.Fatalf("%d datagrams are missing, %d pending", len(want), len(a.pending))
		}
	}
}

func TestAssemblyRefusesNonsense(t *testing.T) {
	data := bytes.Repeat([]byte{1}, 64)
	now := time.Unix(1_000_000, 0)
	part := func(from, to int) *fragment { return cut(1, data, from, to) }
	short := func(to int) *fragment { return cut(1, data[:to], 32, to) } // says it is the last
	for name, parts := range map[string][]*fragment{
		"twice":              {part(0, 16), part(0, 16), part(16, 64)},
		"overlap":            {part(0, 32), part(16, 64)},
		"two ends":           {short(40), part(32, 64), part(0, 32)},
		"beyond the end":     {short(40), part(40, 64), part(0, 32)},
		"an end inside":      {part(0, 32), part(32, 56), short(40)},
		"the end is missing": {part(0, 32)},
	} {
		var a assemblies
		for _, f := range parts {
			if packet := a.add(now, f); packet != nil {
				t.Errorf("%s: gave a packet", name)
			}
		}
	}
	if f := cut(1, data, 0, 13); f != nil {
		t.Error("a part that is not of whole blocks was taken")
	}
}

func TestAssembliesAreBounded(t *testing.T) {
	var a assemblies
	data := bytes.Repeat([]byte{1}, 64)
	now := time.Unix(1_000_000, 0)
	for id := range uint16(maxAssemblies + 1) {
		a.add(now.Add(time.Duration(id)), cut(id, data, 0, 32))
	}
	if len(a.pending) != maxAssemblies {
		t.Errorf("%d pending", len(a.pending))
	}
	if a.add(now, cut(0, data, 32, 64)) != nil {
		t.Error("the oldest was kept")
	}
	if a.add(now.Add(assemblyTime+time.Second), cut(9, data, 32, 64)) != nil {
		t.Error("what is too old was completed")
	}
	if a.add(now, cut(10, data, 32, 64)) == nil {
		t.Error("a datagram was forgotten")
	}
}
