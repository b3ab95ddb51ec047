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

// record is a message with what nobody sees of it. A line of the file is a record; a later line with the same Seq replaces it.
type record struct {
	client.Message
	TaskID string `json:"task,omitempty"`  // of a card, also where the phone shows none
	Codes  []code `json:"codes,omitempty"` // response codes that may still be used; of one record of each card
	Rev    int    `json:"rev,omitempty"`   // how often it was replaced
}

// size is what a record counts against keepBytes.
func (r record) size() int {
	n := len(r.Text)
	if r.Card != nil {
		n += len(r.Text) // once more, in its parts
	}
	return n
}

// Book is all that was said and shown, in memory and in a file of one JSON object per line. It is safe for concurrent use.
// Lines are written before anybody can see their message, but not synced: they survive the process, not the machine.
type Book struct {
	path string
	now  func() time.Time

	mu      sync.Mutex
	file    *os.File // nil when the book has no file
	size    int64    // of the file
	records []record // by Seq
	bytes   int      // of the texts in records
	seq     uint64
	msgID   int64
	changed chan struct{}        // closed at the next message or change of one
	notify  func(client.Message) // told of each, in the order of their numbers; may be nil; must not call the book
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
		if !b.take(line) {
			lost++
		}
	}
}

// take puts one line of the file into memory; it is false for a line that cannot be one.
func (b *Book) take(line []byte) bool {
	var r record
	if json.Unmarshal(line, &r) != nil {
		return false
	}
	id, err := strconv.ParseInt(r.MsgID, 10, 64)
	if err != nil || id <= 0 || id > maxNumber || r.Seq == 0 || r.Seq > maxNumber || r.Updated > maxNumber || r.User == "" {
		return false
	}
	if r.Kind == "" {
		r.Kind = client.KindText // written before there were others
	}
	i := b.above(r.Seq - 1)
	switch {
	case i == len(b.records):
		b.records = append(b.records, r)
	case b.records[i].Seq == r.Seq && r.Rev > b.records[i].Rev:
		b.bytes -= b.records[i].size()
		b.records[i] = r
	case r.Rev == 0 || b.records[i].Seq == r.Seq:
		return false
	default: // of a message that was forgotten since, or lost
		b.seq = max(b.seq, r.Updated)
		return true
	}
	b.seq, b.msgID = max(b.seq, r.Seq, r.Updated), max(b.msgID, id)
	b.bytes += r.size()
	b.forget()
	return true
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
	for len(b.records)-n > keepMessages || (b.bytes > keepBytes && n < len(b.records)-1) {
		b.bytes -= b.records[n].size()
		n++
	}
	if n == 0 {
		return
	}
	clear(b.records[:n])
	b.records = b.records[n:]
}

// rewrite replaces the file by one that holds just what is in memory.
func (b *Book) rewrite() error {
	var buf bytes.Buffer
	for _, r := range b.records {
		line, err := json.Marshal(r)
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
	added, err := b.add([]record{{Message: m}})
	if err != nil {
		return client.Message{}, err
	}
	return added[0].Message, nil
}

// add is Add for several records, all of them or none. The caller holds mu.
func (b *Book) add(records []record) ([]record, error) {
	seq, msgID := b.seq, b.msgID
	for i := range records {
		m := &records[i].Message
		seq++
		m.Seq, m.At = seq, b.now()
		msgID = max(msgID+1, m.At.UnixMicro())
		if m.MsgID == "" {
			m.MsgID = strconv.FormatInt(msgID, 10)
		}
		if m.Kind == "" {
			m.Kind = client.KindText
		}
	}
	if err := b.write(records); err != nil {
		return nil, err
	}
	b.seq, b.msgID = seq, msgID
	b.records = append(b.records, records...)
	for _, r := range records {
		b.bytes += r.size()
	}
	b.forget()
	b.wake(records)
	return records, nil
}

// replace puts changed records in the place of those with the same Seq, all of them or none. Those in shown are changed in the eyes of
// the phone, too. The caller holds mu, and the records are in the book.
func (b *Book) replace(hidden, shown []record) error {
	seq := b.seq
	for i := range shown {
		seq++
		shown[i].Updated = seq
	}
	all := slices.Concat(hidden, shown)
	for i := range all {
		all[i].Rev++
	}
	if err := b.write(all); err != nil {
		return err
	}
	b.seq = seq
	for _, r := range all {
		i := b.above(r.Seq - 1)
		b.bytes += r.size() - b.records[i].size()
		b.records[i] = r
	}
	b.forget()
	if len(shown) > 0 {
		b.wake(shown)
	}
	return nil
}

// wake tells those who wait and those who watch.
func (b *Book) wake(records []record) {
	close(b.changed)
	b.changed = make(chan struct{})
	if b.notify == nil {
		return
	}
	for _, r := range records {
		b.notify(r.Message)
	}
}

// tell sets who is told of each message from now on.
func (b *Book) tell(notify func(client.Message)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notify = notify
}

func (b *Book) write(records []record) error {
	if b.file == nil {
		return nil
	}
	var lines []byte
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("message book: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if b.size > maxFile {
		if err := b.rewrite(); err != nil {
			return err
		}
	}
	if _, err := b.file.Write(lines); err != nil {
		// A line written in part would spoil the next one.
		return errors.Join(fmt.Errorf("message book: %w", err), b.file.Truncate(b.size))
	}
	b.size += int64(len(lines))
	return nil
}

// After returns what the app sent to a person after a sequence number, oldest first, and a channel that is closed when
// the next message of anybody comes or one is changed.
func (b *Book) After(user string, seq uint64) ([]client.Message, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return received(b.records[b.above(seq):], user, seq), b.changed
}

// Changes is After with the older messages that were changed after that number.
func (b *Book) Changes(user string, seq uint64) ([]client.Message, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return received(b.records, user, seq), b.changed
}

func received(records []record, user string, seq uint64) []client.Message {
	out := []client.Message{}
	for _, r := range records {
		if r.User == user && r.Via != client.ViaUser && max(r.Seq, r.Updated) > seq {
			out = append(out, r.Message)
		}
	}
	return out
}

// Last returns up to n of the newest messages of everybody that came or changed after a sequence number, what people said included,
// in the order of those numbers.
func (b *Book) Last(seq uint64, n int) []client.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []client.Message
	for _, r := range b.records[max(0, len(b.records)-n):] {
		if max(r.Seq, r.Updated) > seq {
			out = append(out, r.Message)
		}
	}
	slices.SortStableFunc(out, func(a, b client.Message) int { return cmp.Compare(max(a.Seq, a.Updated), max(b.Seq, b.Updated)) })
	return out
}

// above is the index of the first record after a sequence number.
func (b *Book) above(seq uint64) int {
	i, found := slices.BinarySearchFunc(b.records, seq, func(r record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
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
