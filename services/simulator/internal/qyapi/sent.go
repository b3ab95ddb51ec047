package qyapi

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"sync"
	"time"
)

// sentMessage is a message that was shown, and how long the same request is not shown again.
type sentMessage struct {
	ID           string    `json:"msgid"`
	ResponseCode string    `json:"response_code,omitempty"`
	End          time.Time `json:"end"`
}

// sentLine is one line of the file.
type sentLine struct {
	Key string `json:"request"` // SHA-256 in hex
	sentMessage
}

// maxSentFile is the size in bytes beyond which the file is written anew.
const maxSentFile = 4 << 20

// sentStore remembers requests with a duplicate check, also over a restart: WeCom does not forget them when the app dies, and in the
// all-in-one the simulator dies with it. One lock over the whole of a send, so that two equal requests at the same time are one message.
type sentStore struct {
	now  func() time.Time
	path string // "" keeps it in memory only

	mu    sync.Mutex
	sent  map[string]sentMessage // by sentLine.Key
	prune time.Time              // when ended ones are next thrown out
	size  int64                  // of the file
}

// openSent reads the file, if there is one, and writes it anew without what has ended and what cannot be read.
func openSent(path string, now func() time.Time) (*sentStore, error) {
	s := &sentStore{now: now, path: path, sent: map[string]sentMessage{}}
	if path == "" {
		return s, nil
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sent messages: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		var line sentLine
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Key != "" && line.ID != "" && now().Before(line.End) {
			s.sent[line.Key] = line.sentMessage
		}
	}
	return s, s.rewrite()
}

// find returns the message of an equal request whose interval goes on. The caller holds mu.
func (s *sentStore) find(key string) (sentMessage, bool) {
	now := s.now()
	if now.After(s.prune) {
		maps.DeleteFunc(s.sent, func(_ string, old sentMessage) bool { return !now.Before(old.End) })
		s.prune = now.Add(10 * time.Second)
	}
	old, is := s.sent[key]
	return old, is && now.Before(old.End)
}

// keep remembers a message that was shown. The caller holds mu.
func (s *sentStore) keep(key string, m sentMessage, interval time.Duration) error {
	m.End = s.now().Add(interval)
	s.sent[key] = m
	if s.path == "" {
		return nil
	}
	if s.size > maxSentFile {
		return s.rewrite()
	}
	line, err := json.Marshal(sentLine{key, m})
	if err != nil {
		return fmt.Errorf("sent messages: %w", err)
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("sent messages: %w", err)
	}
	n, err := f.Write(append(line, '\n'))
	s.size += int64(n)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("sent messages: %w", err)
	}
	return nil
}

// rewrite replaces the file by one that holds just what is in memory.
func (s *sentStore) rewrite() error {
	var out bytes.Buffer
	for key, m := range s.sent {
		line, err := json.Marshal(sentLine{key, m})
		if err != nil {
			return fmt.Errorf("sent messages: %w", err)
		}
		out.Write(append(line, '\n'))
	}
	temp := s.path + ".new"
	err := os.WriteFile(temp, out.Bytes(), 0o600)
	if err == nil {
		err = os.Rename(temp, s.path)
	}
	if err != nil {
		return fmt.Errorf("sent messages: %w", err)
	}
	s.size = int64(out.Len())
	return nil
}

// digest identifies a request; white space between its tokens does not count.
func digest(raw []byte) string {
	var b bytes.Buffer
	sum := sha256.Sum256(raw)
	if json.Compact(&b, raw) == nil {
		sum = sha256.Sum256(b.Bytes())
	}
	return hex.EncodeToString(sum[:])
}
