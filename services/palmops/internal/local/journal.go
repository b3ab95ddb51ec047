package local

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// compactFrom is how long a journal may grow before it is written anew from what the store holds, in bytes.
const compactFrom = 16 << 20

// journaled are the commands that change something, as far as sessions need any. Others are not kept over a restart.
var journaled = map[string]bool{
	"EVAL": true, "EVALSHA": true, "SCRIPT": true, "SET": true, "DEL": true, "UNLINK": true,
	"HSET": true, "HDEL": true, "EXPIRE": true, "PEXPIRE": true,
}

// journal writes each changing command down before it runs, so that a process that is killed finds its sessions again, and
// above all what it answered to which message. It is not synced: the machine's own crash may cost the last second.
type journal struct {
	path    string
	srv     *miniredis.Miniredis
	mu      sync.Mutex // held while a command is written and run: the file has the order of the store
	file    *os.File
	size    int64
	compact int64 // size from which on it is written anew
	scripts map[string]bool
	clients sync.Map                    // *server.Peer of connections; the peers of commands inside scripts are not among them
	running atomic.Pointer[server.Peer] // whose command runs under mu
}

// entry is one line: when, and the command. The time is the one that scripts and expiry saw.
type entry struct {
	T int64    `json:"t"`           // Unix milliseconds
	C []string `json:"c,omitempty"` // the command, when all of it is text
	B [][]byte `json:"b,omitempty"` // else: JSON would replace what is no text
}

func newEntry(at time.Time, command []string) entry {
	e := entry{T: at.UnixMilli()}
	for _, a := range command {
		if !utf8.ValidString(a) {
			for _, a := range command {
				e.B = append(e.B, []byte(a))
			}
			return e
		}
	}
	e.C = command
	return e
}

func (e entry) command() []string {
	if e.B == nil {
		return e.C
	}
	command := make([]string, len(e.B))
	for i, a := range e.B {
		command[i] = string(a)
	}
	return command
}

// openJournal runs what the file holds, writes it anew without what has expired, and listens from then on.
func openJournal(dir string, srv *miniredis.Miniredis) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	j := &journal{path: filepath.Join(dir, "journal.jsonl"), srv: srv, scripts: map[string]bool{}}
	if err := j.replay(); err != nil {
		return nil, err
	}
	if err := j.rewrite(); err != nil {
		return nil, err
	}
	srv.Server().SetPreHook(j.hook)
	return j, nil
}

// replay stops at the first line that cannot be read: it is the one that a crash cut off.
func (j *journal) replay() error {
	f, err := os.Open(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	client := redis.NewClient(&redis.Options{Addr: j.srv.Addr(), MaxRetries: -1})
	defer func() { _ = client.Close() }()
	lines := bufio.NewReaderSize(f, 64<<10)
	var aged time.Time // up to when the keys have aged
	for {
		line, err := lines.ReadBytes('\n')
		var e entry
		if err != nil || json.Unmarshal(line, &e) != nil || len(e.command()) == 0 {
			break
		}
		command := e.command()
		j.remember(command)
		now := time.UnixMilli(e.T)
		if aged.IsZero() {
			aged = now
		}
		if step := now.Sub(aged); step > time.Second { // in steps, since each looks at every key
			j.srv.FastForward(step)
			aged = now
		}
		j.srv.SetTime(now)
		args := make([]any, len(command))
		for i, a := range command {
			args[i] = a
		}
		// A command that failed then fails again.
		_ = client.Do(context.Background(), args...).Err()
	}
	if !aged.IsZero() {
		j.srv.FastForward(max(time.Since(aged), 0))
	}
	j.srv.SetTime(time.Time{}) // from here on by the real clock
	return nil
}

// remember keeps the texts of scripts: later commands name them by digest only.
func (j *journal) remember(c []string) {
	switch {
	case c[0] == "EVAL" && len(c) > 1:
		j.scripts[c[1]] = true
	case c[0] == "SCRIPT" && len(c) > 2:
		j.scripts[c[2]] = true
	}
}

// hook runs before every command of every connection.
func (j *journal) hook(peer *server.Peer, cmd string, args ...string) bool {
	if cmd == "HELLO" { // how every connection of go-redis begins
		j.clients.Store(peer, nil)
		peer.OnDisconnect(func() { j.clients.Delete(peer) })
	}
	if _, ok := j.clients.Load(peer); !ok || !journaled[cmd] || j.running.Load() == peer {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size > j.compact {
		if err := j.rewrite(); err != nil {
			peer.WriteError("ERR journal: " + err.Error())
			return true
		}
	}
	command := append([]string{cmd}, args...)
	if err := j.write(j.file, command); err != nil {
		peer.WriteError("ERR journal: " + err.Error())
		return true
	}
	j.remember(command)
	j.running.Store(peer)
	j.srv.Server().Dispatch(peer, command)
	j.running.Store(nil)
	return true
}

func (j *journal) write(w io.Writer, command []string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(newEntry(time.Now(), command)); err != nil {
		return err
	}
	n, err := w.Write(b.Bytes())
	j.size += int64(n)
	return err
}

// rewrite puts the store's present content in the place of the file.
func (j *journal) rewrite() (err error) {
	f, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	j.size = 0
	w := bufio.NewWriter(f)
	for text := range j.scripts {
		err = errors.Join(err, j.write(w, []string{"SCRIPT", "LOAD", text}))
	}
	for _, key := range j.srv.Keys() {
		err = errors.Join(err, j.key(w, key))
	}
	if err = errors.Join(err, w.Flush(), f.Sync()); err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if j.file != nil {
		err = j.file.Close()
	}
	j.file, j.compact = f, max(compactFrom, 2*j.size)
	return err
}

// key writes the commands that make one key again. Sessions are hashes, everything else is a text.
func (j *journal) key(w io.Writer, key string) error {
	var command []string
	switch typ := j.srv.Type(key); typ {
	case "string":
		value, err := j.srv.Get(key)
		if err != nil {
			return err
		}
		command = []string{"SET", key, value}
	case "hash":
		fields, err := j.srv.HKeys(key)
		if err != nil {
			return err
		}
		command = []string{"HSET", key}
		for _, f := range fields {
			command = append(command, f, j.srv.HGet(key, f))
		}
	default:
		return fmt.Errorf("the key %s is a %s", key, typ)
	}
	if err := j.write(w, command); err != nil {
		return err
	}
	if ttl := j.srv.TTL(key); ttl > 0 {
		return j.write(w, []string{"PEXPIRE", key, fmt.Sprint(ttl.Milliseconds())})
	}
	return nil
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}
