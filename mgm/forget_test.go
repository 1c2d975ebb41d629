package mgm

import "testing"

// TestForget deletes an entry: the next packet makes it again, and asks again.
func TestForget(t *testing.T) {
	run(t, "Forget", func(l *lab) {
		l.B.add("*,G", if2)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
		l.sync()
		l.wantErr(l.B.Forget(l.flow("S,G")), ErrNotOwner)
		l.ok(l.A.Forget(l.flow("S,G")))
		l.want()
		l.wantMFE("S,G", "none")
		l.wantErr(l.A.Forget(l.flow("S,G")), ErrMFENotFound)
		l.packet("S,G", if1)
		l.wantMFE("S,G", "if1>if2")
	})
}
