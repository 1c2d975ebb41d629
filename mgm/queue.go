package mgm

// kind says what an event is.
type kind uint8

const (
	memberJoined   kind = iota // JoinAlert, MemberUpdate true
	memberLeft                 // PruneAlert, MemberDelete true
	mfeWanted                  // JoinAlert, MemberUpdate false
	mfeUnwanted                // PruneAlert, MemberDelete false
	localJoin                  // LocalJoin
	localLeave                 // LocalLeave
	excludeJoin                // LocalJoin, Exclude
	excludeLeave               // LocalLeave, Exclude
	disable                    // DisableMembership
	enable                     // EnableMembership
	flowMissed                 // work: the report of a miss
	wrongInterface             // work: the report of a packet on the wrong interface
	routesChanged              // work: the routes of the sources in a prefix
	routeMoved                 // work: an MFE whose source has another route
)

// event is one thing for the delivery goroutine to do. Alerts go to client; if audience is
// set they go to everybody in it but client.
type event struct {
	kind     kind
	client   *Client
	audience *roster
	record   *record
	mfe      *mfe
	link     *link
	work     any // *tenancy, *report or *sweep
}

// roster is the set of registered clients at one time, in the order of registration. It is
// never changed, only replaced.
type roster struct{ clients []*Client }

// blockSize is the number of events that are allocated at once.
const blockSize = 128

type block struct {
	events [blockSize]event
	next   *block
}

// queue is a first-in, first-out list of events, unbounded, in linked blocks.
type queue struct {
	head, tail *block
	read       int // next place in head
	write      int // next place in tail
	length     int
	spare      *block // an empty block, so that a short queue does not allocate
}

// push appends e.
func (q *queue) push(e event) {
	if q.tail == nil || q.write == blockSize {
		b := q.spare
		q.spare = nil
		if b == nil {
			b = new(block)
		}
		if q.tail == nil {
			q.head, q.read = b, 0
		} else {
			q.tail.next = b
		}
		q.tail, q.write = b, 0
	}
	q.tail.events[q.write] = e
	q.write++
	q.length++
}

// pop removes the oldest event; the queue must not be empty.
func (q *queue) pop() event {
	e := q.head.events[q.read]
	q.head.events[q.read] = event{}
	q.read++
	q.length--
	switch {
	case q.length == 0:
		q.read, q.write = 0, 0
	case q.read == blockSize:
		b := q.head
		q.head, q.read = b.next, 0
		b.next = nil
		q.spare = b
	}
	return e
}
