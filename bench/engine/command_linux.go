package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long a program may take to say that it is ready, and to end.
const (
	readyTimeout = 30 * time.Second
	endTimeout   = 3 * time.Second
)

// program is a router that is a command of its own.
type program struct {
	command *exec.Cmd
	input   io.WriteCloser
	output  chan string // its lines
	ended   chan struct{}
	log     tail
}

// tail keeps the end of what a program prints.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	const enough = 8 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(b)
	if t.text.Len() > 2*enough {
		t.text.Next(t.text.Len() - enough)
	}
	return len(b), nil
}

func (t *tail) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(t.text.String()), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// startProgram starts a command that speaks by lines: on its standard error
// where talks is false, else on its standard output. It dies with the calling
// thread, which must be locked.
func startProgram(command *exec.Cmd, talks bool, start func(*exec.Cmd) error) (*program, error) {
	p := &program{command: command, output: make(chan string, 64), ended: make(chan struct{})}
	var err error
	if p.input, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	command.Stdout, command.Stderr = &p.log, write
	if talks {
		command.Stdout, command.Stderr = write, &p.log
	}
	// What it leaves behind may hold its output open.
	command.WaitDelay = endTimeout
	if err := start(command); err != nil {
		read.Close()
		return nil, fmt.Errorf("start %s: %w", command.Args[0], err)
	}
	go p.listen(read, talks)
	go func() {
		_ = command.Wait() // its status says nothing
		close(p.ended)
	}()
	return p, nil
}

// listen passes lines on, as far as somebody waits for them.
func (p *program) listen(from *os.File, talks bool) {
	defer from.Close()
	for lines := bufio.NewScanner(from); lines.Scan(); {
		if !talks {
			fmt.Fprintln(&p.log, lines.Text())
		}
		select {
		case p.output <- lines.Text():
		default:
		}
	}
}

// await waits for a line with a word at the front or, with anywhere, in it.
func (p *program) await(word string, anywhere bool) (string, error) {
	timeout := time.NewTimer(readyTimeout)
	defer timeout.Stop()
	for {
		select {
		case line := <-p.output:
			if line == word || strings.HasPrefix(line, word+" ") ||
				anywhere && strings.Contains(line, word) {
				return line, nil
			}
		case <-p.ended:
			return "", p.failure("ended")
		case <-timeout.C:
			return "", p.failure("did not say %q in %v", word, readyTimeout)
		}
	}
}

func (p *program) failure(format string, a ...any) error {
	text := fmt.Sprintf(format, a...)
	if last := p.log.lastLine(); last != "" {
		return fmt.Errorf("the router %s: %s", text, last)
	}
	return fmt.Errorf("the router %s", text)
}

// alive says that the program has not ended.
func (p *program) alive() error {
	select {
	case <-p.ended:
		return p.failure("ended")
	default:
		return nil
	}
}

// PID implements Router. What the program has started is not in it.
func (p *program) PID() int { return p.command.Process.Pid }

// Close implements Router: first with SIGTERM.
func (p *program) Close() error {
	p.input.Close()
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(endTimeout):
		_ = p.command.Process.Kill()
		<-p.ended
	}
	return nil
}
