package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// confinedVar has this program confine itself and say what is left.
const confinedVar = "UMROUTE_TEST_CONFINED"

func TestMain(m *testing.M) {
	if os.Getenv(confinedVar) != "" {
		fmt.Println(tellWhatIsLeft())
		return
	}
	os.Exit(m.Run())
}

// tellWhatIsLeft looks from several threads, and from a child.
func tellWhatIsLeft() string {
	if err := Process(); err != nil {
		return err.Error()
	}
	var threads sync.WaitGroup
	found := make(chan string, 100)
	for range 8 {
		threads.Go(func() {
			for range 10 {
				if err := unix.Mount("none", "/nowhere", "tmpfs", 0, ""); err != unix.EPERM {
					found <- fmt.Sprint("mount: ", err)
				}
				if err := unix.PtraceAttach(1); err != unix.EPERM {
					found <- fmt.Sprint("ptrace: ", err)
				}
				n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
				if n != 1 {
					found <- fmt.Sprint("no_new_privs: ", n, err)
				}
			}
		})
	}
	threads.Wait()
	close(found)
	for each := range found {
		return each
	}
	if output, err := exec.Command("true").CombinedOutput(); err != nil {
		return fmt.Sprintf("a child: %v: %s", err, output)
	}
	return "confined: " + left()
}

// left are the needed capabilities that there are, and all others by number.
func left() string {
	var names []string
	for value := range cap.MaxBits() {
		if has, err := cap.GetProc().GetFlag(cap.Permitted, value); err == nil && has {
			names = append(names, value.String())
		}
	}
	return strings.Join(names, " ")
}

// TestProcess confines a process of its own. It must keep what it needs, if it
// had that, and nothing else.
func TestProcess(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), confinedVar+"=1")
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	got := strings.TrimSpace(string(output))
	rest, confined := strings.CutPrefix(got, "confined: ")
	if !confined && got != "confined:" {
		t.Fatal(got)
	}
	for name := range strings.FieldsSeq(rest) {
		value, err := cap.FromName(name)
		if err != nil || !isNeeded(value) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
	for _, value := range needed {
		had, err := cap.GetProc().GetFlag(cap.Permitted, value)
		if err := errors.Join(err); err != nil {
			t.Fatal(err)
		}
		if had != strings.Contains(" "+rest+" ", " "+value.String()+" ") {
			t.Errorf("%s: had it %v, left %q", value, had, rest)
		}
	}
}

// TestForbidden holds that both processors know every call by its name.
func TestForbidden(t *testing.T) {
	for _, name := range []string{"amd64", "arm64"} {
		info, err := arch.GetInfo(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range forbidden {
			if _, known := info.SyscallNames[call]; !known {
				t.Errorf("%s has no %s", name, call)
			}
		}
	}
}
