package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"palmops/libs/bus"
	"palmops/libs/redistest"
	"palmops/libs/wire"
	"palmops/services/palmops/internal/outsidetest"
	"palmops/services/palmops/internal/story"
	"palmops/services/simulator/client"
)

// split is the system as it runs in earnest: every service a process of its own, dialog and executor twice, with a NATS and a
// Redis that live and die apart from them.
type split struct {
	t         testing.TB
	config    string
	env       []string
	nats      *natsd
	bus       *bus.Bus // the test's own look at the streams
	redis     *redistest.Server
	page      whole // the phones, and the simulator as its process
	cluster   string
	simulator string // its address, which is that of WeCom's API
	gateway   *proc
	dialogs   [2]*proc
	executors [2]*proc
	outside   *outsidetest.Client
	direct    int // answers that came as passive replies
}

func newSplit(t testing.TB) *split {
	t.Helper()
	// An address of its own, so that a port is still free when its process is started a second time.
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	s := &split{t: t, config: copyConfig(t), nats: newNATS(t, host), redis: redistest.New(t)}
	s.bus = s.nats.connect(t.Context())
	s.env = []string{"NATS_URL=" + s.nats.URL(), "REDIS_URL=" + s.redis.URL(), "PALMOPS_KUBECONFIG="}
	addr := s.settle(host)
	out := Streams{In: strings.NewReader(""), Out: io.Discard, Err: os.Stderr}
	if code := Main(t.Context(), out, []string{"keys", "init", "--dir", filepath.Join(s.config, "keys")}); code != ExitFine {
		t.Fatalf("keys init ended with %d", code)
	}
	s.cluster, s.simulator = "http://"+addr["cluster"], "http://"+addr["simulator"]
	s.page = whole{t: t, proc: s.spawn("simulator")}
	s.page.phones = story.Phones{Client: client.New(s.simulator, nil)}
	t.Cleanup(s.page.phones.Client.Close)
	for i := range 2 {
		s.executors[i], s.dialogs[i] = s.spawn("executor"), s.spawn("dialog")
	}
	s.gateway = s.spawn("gateway")
	s.outside = outsidetest.New(t, "http://"+addr["gateway"]+"/wecom/ops/callback", filepath.Join(s.config, "wecom.env"))
	t.Cleanup(s.outside.Close)
	return s
}

// settle gives the services addresses on a host that no other connection uses.
func (s *split) settle(host string) map[string]string {
	s.t.Helper()
	addr := map[string]string{}
	change := []string{"state_dir: .palmops/simulator", "state_dir: " + s.t.TempDir()}
	for name, shipped := range map[string]string{"gateway": "127.0.0.1:8080", "simulator": "127.0.0.1:8090", "cluster": "127.0.0.1:8092"} {
		ln, err := net.Listen("tcp", host+":0")
		if err != nil {
			s.t.Fatal(err)
		}
		addr[name] = ln.Addr().String()
		if err := ln.Close(); err != nil {
			s.t.Fatal(err)
		}
		change = append(change, shipped, addr[name])
	}
	for _, file := range []string{"gateway.yaml", "simulator.yaml", "catalog.yaml"} {
		path := filepath.Join(s.config, file)
		data, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		changed := strings.NewReplacer(change...).Replace(string(data))
		if changed == string(data) {
			s.t.Fatalf("%s names none of the shipped addresses any more", file)
		}
		if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return addr
}

// spawn starts a service as `palmops <service>`.
func (s *split) spawn(service string) *proc {
	s.t.Helper()
	return s.spawnFrom(s.config, service)
}

// spawnFrom is spawn with the configuration of another folder, and with further variables, such as another way to the bus.
func (s *split) spawnFrom(dir, service string, env ...string) *proc {
	s.t.Helper()
	p := spawn(s.t, `"serving"`, slices.Concat(s.env, env), service, "--config", filepath.Join(dir, service+".yaml"), "--admin", "127.0.0.1:0")
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("%s (process %d) said:\n%s", service, p.cmd.Process.Pid, p.output())
		}
	})
	return p
}

// freeze is SIGSTOP. It returns when every thread of the process stands still, which the signal alone does not promise.
func (p *proc) freeze() {
	p.t.Helper()
	pid := p.cmd.Process.Pid
	err := syscall.Kill(pid, syscall.SIGSTOP)
	var status syscall.WaitStatus
	for err == nil && !status.Stopped() {
		if _, err = syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err == syscall.EINTR {
			err = nil
		}
	}
	if err != nil {
		p.t.Fatalf("freeze: %v", err)
	}
}

// thaw is SIGCONT.
func (p *proc) thaw() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		p.t.Fatal(err)
	}
}

func (s *split) freezeDialogs() {
	s.dialogs[0].freeze()
	s.dialogs[1].freeze()
}

func (s *split) thawDialogs() {
	s.dialogs[0].thaw()
	s.dialogs[1].thaw()
}

// get asks a process's own listener for operators.
func (p *proc) get(ctx context.Context, path string) (status int, body string) {
	p.t.Helper()
	return get(ctx, p.t, "http://"+p.find(`"serving".*"admin":"([^"]+)"`)+path)
}

func get(ctx context.Context, t testing.TB, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// generation counts the changes of a practice deployment's spec.
func (s *split) generation(ctx context.Context, name string) (generation int64, replicas int32) {
	s.t.Helper()
	_, body := get(ctx, s.t, s.cluster+"/apis/apps/v1/namespaces/shop/deployments/"+name)
	var d struct {
		Metadata struct {
			Generation  int64
			Annotations map[string]string
		}
		Spec struct{ Replicas int32 }
	}
	if err := json.Unmarshal([]byte(body), &d); err != nil || d.Metadata.Generation == 0 {
		s.t.Fatalf("%s: %v", body, err)
	}
	changes, _ := strconv.ParseInt(d.Metadata.Annotations[specChanges], 10, 64) // none is 0
	return changes, d.Spec.Replicas
}

// until looks again and again until a look says yes.
func (s *split) until(ctx context.Context, what string, look func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !look() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("%s: it never came to that", what)
		}
	}
}

// stream is what a stream holds now.
func (s *split) stream(ctx context.Context, name string) jetstream.StreamState {
	s.t.Helper()
	st, err := s.bus.JS.Stream(ctx, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return st.CachedInfo().State
}

// quiet waits until nothing is in work anywhere, so that what has not come by then does not come any more. The streams are
// looked at in the order in which one causes the next.
func (s *split) quiet(ctx context.Context) {
	s.t.Helper()
	s.until(ctx, "quiet", func() bool {
		for _, name := range []string{wire.StreamIn, wire.StreamAct, wire.StreamRes, wire.StreamOut} {
			st, err := s.bus.JS.Stream(ctx, name)
			if err != nil {
				s.t.Fatal(err)
			}
			all, waiting := st.ListConsumers(ctx), 0
			for c := range all.Info() { // to its end: it is a goroutine
				waiting += int(c.NumPending) + c.NumAckPending
			}
			if err := all.Err(); err != nil {
				s.t.Fatal(err)
			}
			if waiting > 0 {
				return false
			}
		}
		return true
	})
}

// posted is what became of one callback.
type posted struct {
	text string
	err  error
}

// post delivers a message without waiting for its answer and returns when it is on IN.
func (s *split) post(ctx context.Context, plain string) <-chan posted {
	s.t.Helper()
	before := s.stream(ctx, wire.StreamIn).LastSeq
	end := make(chan posted, 1)
	go func() {
		text, err := s.outside.Post(ctx, plain)
		end <- posted{text, err}
	}()
	s.until(ctx, "the message is on IN", func() bool { return s.stream(ctx, wire.StreamIn).LastSeq > before })
	return end
}

const (
	slow   = "已收到，处理比平时慢" // the passive reply that is none
	pushed = "的回复（"       // stands in an answer that came by push
)

// last is the newest push that a person has.
func (s *split) last(ctx context.Context) int64 {
	s.t.Helper()
	seq, err := s.page.phones.Last(ctx, "zhangsan")
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

// pushes are the texts that were pushed after a message.
func (s *split) pushes(ctx context.Context, after int64) (texts []string) {
	s.t.Helper()
	all, err := s.page.phones.Client.Messages(ctx, "zhangsan", uint64(after), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range all {
		texts = append(texts, m.Text)
	}
	return texts
}

// answer is the answer to the callback: at once, or, after a word that it takes longer, by push.
func (s *split) answer(ctx context.Context, after int64, p posted, want string) string {
	s.t.Helper()
	switch {
	case p.err != nil:
		s.t.Fatalf("no answer with %q: %v", want, p.err)
	case p.text == "" || strings.HasPrefix(p.text, slow):
		return s.page.hear(ctx, "zhangsan", after, want)
	case !strings.Contains(p.text, want):
		s.t.Fatalf("want %q in\n%s", want, p.text)
	}
	s.direct++
	return p.text
}

// say is zhangsan's next message, whose answer must hold want.
func (s *split) say(ctx context.Context, text, want string) string {
	s.t.Helper()
	after := s.last(ctx)
	plain, _ := s.outside.Typed("zhangsan", text)
	return s.answer(ctx, after, <-s.post(ctx, plain), want)
}

// road walks to the confirm of scaling a deployment of shop.
func (s *split) road(ctx context.Context, deployment, replicas string) {
	s.t.Helper()
	s.ask(ctx, deployment)
	s.say(ctx, replicas, "→ "+replicas)
}

// ask walks to the question for the number of replicas.
func (s *split) ask(ctx context.Context, deployment string) {
	s.t.Helper()
	s.say(ctx, "菜单", "1. 零售事业部")
	s.say(ctx, "1", "1. Kubernetes 操作")
	s.say(ctx, "1", "1. 调整 POD 数")
	s.say(ctx, "1", "1. shop")
	list := s.say(ctx, "1", deployment)
	s.say(ctx, number(s.t, list, deployment), "新的副本数")
}

var actionID = regexp.MustCompile(`#[0-9A-Z]{6}`)

// results are the texts that tell how an action ended.
func results(texts []string) (ends []string) {
	for _, t := range texts {
		if actionID.MatchString(t) && !strings.Contains(t, "进行中") && !strings.Contains(t, "已受理") {
			ends = append(ends, t)
		}
	}
	return ends
}

// guard ends a test that hangs.
func guard(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestSplitStory is the main conversation over all the processes: the callback answered directly, the result pushed.
func TestSplitStory(t *testing.T) {
	t.Parallel()
	ctx, s := guard(t), newSplit(t)
	before, _ := s.generation(ctx, "web")
	s.road(ctx, "web", "5")
	after := s.last(ctx)
	accepted := s.say(ctx, "1", "已受理 #")
	id := actionID.FindString(accepted)
	if got := s.page.hear(ctx, "zhangsan", after, "5/5"); !strings.Contains(got, id) || !strings.Contains(got, "3 → 5") {
		t.Errorf("the result of %s is\n%s", id, got)
	}
	s.quiet(ctx)
	if ends := results(s.pushes(ctx, 0)); len(ends) != 1 {
		t.Errorf("%d results: %q", len(ends), ends)
	}
	if now, replicas := s.generation(ctx, "web"); now != before+1 || replicas != 5 {
		t.Errorf("the deployment was changed %d times, to %d replicas", now-before, replicas)
	}
}
