package host

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestSentLogIsASet compares the log with a map: within its room and time it
// forgets nothing, finds nothing that is not there, and finds each once.
func TestSentLogIsASet(t *testing.T) {
	log, reference := new(sentLog), make(map[uint64]time.Time)
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_000_000, 0)
	var digests []uint64
	for range 200 {
		digests = append(digests, random.Uint64())
	}
	for range 50_000 {
		now = now.Add(time.Duration(random.IntN(10)) * time.Millisecond)
		digest := digests[random.IntN(len(digests))]
		added, held := reference[digest]
		age := now.Sub(added)
		if random.IntN(2) == 0 {
			if !held || age > 5*time.Second {
				log.add(digest, ticks(now))
				reference[digest] = now
			}
			continue
		}
		got := log.take(digest, ticks(now))
		delete(reference, digest)
		switch {
		case held && age < logTicks*logTick-logTick && !got:
			t.Fatalf("%x was forgotten after %v", digest, age)
		case (!held || age > (logTicks+1)*logTick) && got:
			t.Fatalf("%x was found; added %v before: %v", digest, age, held)
		}
	}
}

// TestSentLogMakesRoom fills one bucket: the oldest goes.
func TestSentLogMakesRoom(t *testing.T) {
	log := new(sentLog)
	now := time.Unix(1_000_000, 0)
	digest := func(i int) uint64 { return uint64(i+1) << 20 }
	for i := range logWays + 1 {
		log.add(digest(i), ticks(now.Add(time.Duration(i)*logTick)))
	}
	for i := range logWays + 1 {
		if got := log.take(digest(i), ticks(now)+logWays); got != (i > 0) {
			t.Errorf("entry %d is there: %v", i, got)
		}
	}
}

func TestSentLogAllocatesNothing(t *testing.T) {
	log := new(sentLog)
	allocated := testing.AllocsPerRun(100, func() {
		log.add(1<<30, 1)
		log.take(1<<30, 1)
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
