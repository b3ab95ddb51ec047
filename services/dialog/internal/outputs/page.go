package outputs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/fault"
	"palmops/services/dialog/internal/flow"
)

// Limits of one page of an output.
const (
	pageBytes = 900
	pageLines = 20
	// MostPaged is how many bytes at the beginning of an output have pages: it is what the view of one page can cost.
	MostPaged = 1 << 20
)

// Page reads one page of an output, counted from 0; a number beyond the last page means the last. It holds one chunk of the
// object at a time, and reads no more than MostPaged bytes. Errors: NotFound, there is none, or none any more; Transient.
func (s *Store) Page(ctx context.Context, action string, page int) (flow.OutputPage, error) {
	info, err := s.info(ctx, action)
	if err != nil {
		return flow.OutputPage{}, err
	}
	if info == nil {
		return flow.OutputPage{}, fault.New(fault.NotFound, "no output of %s is kept", action)
	}
	from := &chunks{ctx: ctx, stream: s.chunks, subject: fmt.Sprintf("$O.%s.C.%s", info.Bucket, info.NUID), left: info.Chunks, next: 1}
	out, err := pageOf(from, page)
	if err != nil {
		return flow.OutputPage{}, fmt.Errorf("output of %s: %w", action, err)
	}
	out.Cut = info.Size > MostPaged
	return out, nil
}

// chunks reads an object chunk by chunk, as the layout of object stores has them (NATS ADR-20), so that nothing is sent that
// nobody wants to see. Errors: NotFound when it was deleted meanwhile, Transient.
type chunks struct {
	ctx     context.Context //nolint:containedctx // a reader for one call
	stream  jetstream.Stream
	subject string
	next    uint64 // sequence from which on the next chunk is found
	left    uint32
	data    []byte
}

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.data) == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		msg, err := c.stream.GetMsg(c.ctx, c.next, jetstream.WithGetMsgSubject(c.subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, fault.Wrap(fault.NotFound, err, "chunk")
		}
		if err != nil {
			return 0, fault.Wrap(fault.Transient, err, "chunk")
		}
		c.data, c.next, c.left = msg.Data, msg.Sequence+1, c.left-1
	}
	n := copy(p, c.data)
	c.data = c.data[n:]
	return n, nil
}

// pageOf cuts a text into pages of whole lines and keeps one of them; a line that is longer than a page is cut between
// characters. Blank lines at the end count for nothing.
func pageOf(text io.Reader, page int) (flow.OutputPage, error) {
	p := pager{want: max(page, 0)}
	r := bufio.NewReaderSize(io.LimitReader(text, MostPaged), 4*pageBytes)
	for torn := false; ; {
		ahead, err := r.Peek(pageBytes + 1)
		if err != nil && !errors.Is(err, io.EOF) {
			return flow.OutputPage{}, err
		}
		if len(ahead) == 0 {
			return p.end(), nil
		}
		used := bytes.IndexByte(ahead, '\n')
		whole := used >= 0 || len(ahead) <= pageBytes
		line := ahead
		switch {
		case used >= 0:
			line, used = ahead[:used], used+1
		case whole:
			used = len(ahead)
		default:
			line = head(ahead, pageBytes)
			used = len(line)
		}
		if whole {
			line = bytes.TrimSuffix(line, []byte("\r"))
		}
		if !torn || len(line) > 0 {
			p.add(string(line))
		}
		torn = !whole
		_, _ = r.Discard(used) // what was peeked at is there
	}
}

// pager puts lines on pages.
type pager struct {
	want  int
	pages int // that are full
	page  []string
	size  int // bytes on it
	kept  []string
	blank int // lines that wait for one which is not blank
}

func (p *pager) add(line string) {
	if strings.TrimLeft(line, " \t") == "" {
		p.blank++
		return
	}
	for ; p.blank > 0; p.blank-- {
		p.put("")
	}
	p.put(line)
}

func (p *pager) put(line string) {
	if len(p.page) == pageLines || p.size+len(line)+1 > pageBytes && len(p.page) > 0 {
		p.turn()
	}
	p.page, p.size = append(p.page, line), p.size+len(line)+1
}

func (p *pager) turn() {
	if p.pages <= p.want {
		p.kept = append(p.kept[:0], p.page...)
	}
	p.pages, p.page, p.size = p.pages+1, p.page[:0], 0
}

func (p *pager) end() flow.OutputPage {
	if len(p.page) > 0 {
		p.turn()
	}
	return flow.OutputPage{Lines: p.kept, Page: max(0, min(p.want, p.pages-1)), Pages: p.pages}
}

// head is the beginning of a text: at most most bytes, whole characters.
func head(s []byte, most int) []byte {
	for cut := most; cut > most-utf8.UTFMax; cut-- {
		if utf8.RuneStart(s[cut]) {
			return s[:cut]
		}
	}
	return s[:most] // no text at all
}
