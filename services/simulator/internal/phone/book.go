package phone

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"palmops/services/simulator/client"
)

// What a book keeps at most: older messages are forgotten. A simulator runs for weeks under load tests, and must not grow with them.
const (
	keepMessages = 5000
	keepBytes    = 16 << 20
	maxFile      = 4 * keepBytes // the file is rewritten beyond that
	maxLine      = 1 << 20
	maxNumber    = 1 << 62 // a Seq or MsgID beyond it was not written here, and counting on from it would overflow
)

// Book is all that was said and shown, in memory and in a file of one JSON object per line. It is safe for concurrent use.
// Lines are written before anybody can see their message, but not synced: they survive the process, not the machine.
type Book struct {
	path string
	now  func() time.Time

	mu       sync.Mutex
	file     *os.File // nil when the book has no file
	size     int64    // of the file
	messages []client.Message
	bytes    int // of the texts in messages
	seq      uint64
	msgID    int64
	changed  chan struct{}        // closed at the next Add
	notify   func(client.Message) // told of each message in the order of Seq; may be nil; must not call the book
}

// OpenBook reads the book at path, or begins one. A path of "" keeps it in memory only.
// Lines that cannot be read are left out and counted; a torn last line, which a killed process leaves, is cut off.
// Numbers go on after the highest that was read, with a gap for every line that was lost.
func OpenBook(path string, now func() time.Time) (b *Book, lost int, err error) {
	b = &Book{path: path, now: now, changed: make(chan struct{})}
	if path == "" {
		return b, 0, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("message book: %w", err)
	}
	lost, err = b.read(f)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("message book: %w", err), f.Close())
	}
	b.file = f
	b.seq += uint64(lost)
	b.forget()
	if lost > 0 || b.size > maxFile {
		if err := b.rewrite(); err != nil {
			return nil, 0, errors.Join(err, b.Close())
		}
	}
	return b, lost, nil
}

func (b *Book) read(r io.Reader) (lost int, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := readLine(br)
		b.size += int64(len(line))
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				lost++ // no newline at its end: it was being written when the process died
			}
			return lost, nil
		}
		if err != nil {
			return lost, err
		}
		var m client.Message
		id, iderr := int64(0), error(nil)
		if json.Unmarshal(line, &m) == nil {
			id, iderr = strconv.ParseInt(m.MsgID, 10, 64)
		}
		if m.Seq <= b.seq || m.Seq > maxNumber || m.User == "" || iderr != nil || id <= 0 || id > maxNumber {
			lost++
			continue
		}
		b.seq, b.msgID = m.Seq, max(b.msgID, id)
		b.messages = append(b.messages, m)
		b.bytes += len(m.Text)
		b.forget()
	}
}

// readLine reads one line with its newline; of a line beyond maxLine it returns only the beginning, which no decoder takes.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		if len(line) < maxLine {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// forget drops the oldest messages beyond the limits.
func (b *Book) forget() {
	n := 0
	for len(b.messages)-n > keepMessages || (b.bytes > keepBytes && n < len(b.messages)-1) {
		b.bytes -= len(b.messages[n].Text)
		n++
	}
	if n == 0 {
		return
	}
	clear(b.messages[:n])
	b.messages = b.messages[n:]
}

// rewrite replaces the file by one that holds just what is in memory.
func (b *Book) rewrite() error {
	var buf bytes.Buffer
	for _, m := range b.messages {
		line, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("message book: %w", err)
		}
		buf.Write(append(line, '\n'))
	}
	temp := b.path + ".new"
	if err := os.WriteFile(temp, buf.Bytes(), 0o600); err != nil {
		return fmt.Errorf("message book: %w", err)
	}
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("message book: %w", err)
	}
	if err := os.Rename(temp, b.path); err != nil {
		return errors.Join(fmt.Errorf("message book: %w", err), f.Close())
	}
	old := b.file
	b.file, b.size = f, int64(buf.Len())
	if err := old.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("message book: %w", err)
	}
	return nil
}

// Add writes a message into the book and returns it with its Seq, its time and, unless it has one, its MsgID.
// A message that could not be written is not in the book.
//
// A MsgID is the time in microseconds, or one more than the last if that is higher: so it also rises over a lost file, and an app
// that remembers ids never takes a new message for one it knows.
func (b *Book) Add(m client.Message) (client.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.Seq = b.seq + 1
	m.At = b.now()
	id := max(b.msgID+1, m.At.UnixMicro())
	if m.MsgID == "" {
		m.MsgID = strconv.FormatInt(id, 10)
	}
	if err := b.write(m); err != nil {
		return client.Message{}, err
	}
	b.seq, b.msgID = m.Seq, id
	b.messages = append(b.messages, m)
	b.bytes += len(m.Text)
	b.forget()
	close(b.changed)
	b.changed = make(chan struct{})
	if b.notify != nil {
		b.notify(m)
	}
	return m, nil
}

// tell sets who is told of each message from now on.
func (b *Book) tell(notify func(client.Message)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notify = notify
}

func (b *Book) write(m client.Message) error {
	if b.file == nil {
		return nil
	}
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("message book: %w", err)
	}
	if b.size > maxFile {
		if err := b.rewrite(); err != nil {
			return err
		}
	}
	line = append(line, '\n')
	if _, err := b.file.Write(line); err != nil {
		// A line written in part would spoil the next one.
		return errors.Join(fmt.Errorf("message book: %w", err), b.file.Truncate(b.size))
	}
	b.size += int64(len(line))
	return nil
}

// After returns what the app sent to a person after a sequence number, oldest first, and a channel that is closed when
// the next message of anybody comes.
func (b *Book) After(user string, seq uint64) ([]client.Message, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []client.Message{}
	for _, m := range b.messages[b.above(seq):] {
		if m.User == user && m.Via != client.ViaUser {
			out = append(out, m)
		}
	}
	return out, b.changed
}

// Last returns up to n of the newest messages of everybody after a sequence number, what people said included, oldest first.
func (b *Book) Last(seq uint64, n int) []client.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.messages[max(0, len(b.messages)-n, b.above(seq)):])
}

// above is the index of the first message after a sequence number.
func (b *Book) above(seq uint64) int {
	i, found := slices.BinarySearchFunc(b.messages, seq, func(m client.Message, seq uint64) int { return cmp.Compare(m.Seq, seq) })
	if found {
		i++
	}
	return i
}

// Close closes the file.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file = nil
	return err
}
