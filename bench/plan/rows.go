package plan

// Quick returns the rows of "umroute bench run --quick": what users have
// (senders and receivers that know no offload) in three sizes, several flows
// at once, and each offload by itself.
func Quick() []Row {
	var rows []Row
	add := func(r Row, targets map[int]float64) {
		for _, oifs := range []int{1, 2, 4, 8} {
			if t, ok := targets[oifs]; ok {
				r.Oifs, r.Target = oifs, t
				rows = append(rows, r)
			}
		}
	}
	plain := Row{Test: Forward, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain}
	add(plain, map[int]float64{1: 1.4, 2: 1.8, 4: 2.0, 8: 1.7})
	small, large, flows, gro, segment := plain, plain, plain, plain, plain
	small.Size, large.Size, flows.Flows = 64, 1400, 8
	gro.Receiver, segment.Sender = GRO, Segment
	add(small, map[int]float64{1: 1.4, 2: 1.8, 4: 1.9, 8: 1.6})
	add(large, map[int]float64{1: 1.3, 2: 1.5, 4: 1.4, 8: 1.4})
	add(flows, map[int]float64{1: 1.1, 4: 1.5, 8: 1.3})
	add(gro, map[int]float64{1: 2, 4: 4, 8: 5})
	add(segment, map[int]float64{1: .7, 4: .7, 8: .8})
	for _, p := range []struct {
		oifs int
		rate float64
	}{{4, 5000}, {1, 2000}, {1, 20_000}} {
		plain.Oifs, plain.Rate = p.oifs, p.rate
		rows = append(rows, plain)
	}
	return rows
}

// Witnessed returns rows that are measured twice: by ourselves and by iperf.
func Witnessed() []Row {
	var rows []Row
	for _, oifs := range []int{1, 4} {
		own := Row{Test: Forward, Oifs: oifs, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain,
			Rate: 5000}
		other := own
		other.Sender, other.Receiver = Iperf, Iperf
		rows = append(rows, own, other)
	}
	return rows
}

// Smoke returns the few rows that show whether everything works.
func Smoke() []Row {
	rows := []Row{
		{Oifs: 1, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain},
		{Oifs: 4, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain},
		{Oifs: 4, Size: 512, Flows: 8, Sender: Plain, Receiver: Plain},
		{Oifs: 4, Size: 512, Flows: 1, Sender: Segment, Receiver: GRO},
		{Oifs: 1, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain, Rate: 20_000},
	}
	for i := range rows {
		rows[i].Test = Forward
		rows[i].Target = target(rows[i])
	}
	return rows
}
