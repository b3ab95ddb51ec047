package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"palmops/libs/conf"
	"palmops/libs/obs"
	"palmops/libs/run"
	"palmops/services/palmops/internal/local"
)

// DefaultAdmin is where the all-in-one answers operators' tools.
const DefaultAdmin = "127.0.0.1:8081"

// fromEnv fills flags that were not given from the environment: --nats-listen from PALMOPS_NATS_LISTEN, also as *_FILE.
func fromEnv(f *flag.FlagSet) error {
	given := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { given[fl.Name] = true })
	var failed error
	f.VisitAll(func(fl *flag.Flag) {
		if given[fl.Name] || failed != nil {
			return
		}
		name := "PALMOPS_" + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
		value, err := conf.Env(name)
		if err == nil && value != "" {
			err = f.Set(fl.Name, value)
		}
		if err != nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
	})
	return failed
}

func runAll(ctx context.Context, s Streams, args []string) error {
	var o local.Options
	f := flags(s, "run")
	f.StringVar(&o.ConfigDir, "config", "deployments/config/local", "folder with the configuration files")
	f.StringVar(&o.DataDir, "data", ".palmops", "folder for streams, keys and the simulator's memory")
	f.StringVar(&o.Gateway, "gateway", "", "address for WeCom's callbacks (default: gateway.yaml)")
	f.StringVar(&o.Simulator, "simulator", "", "address of the phone page (default: simulator.yaml)")
	f.StringVar(&o.Practice, "practice", "", "address of the practice cluster (default: simulator.yaml)")
	f.StringVar(&o.NATSListen, "nats-listen", "", "loopback address at which others may join the embedded NATS server (default: none)")
	f.BoolVar(&o.NoExecutor, "no-executor", false, "executors run elsewhere, in any language, and join at --nats-listen")
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "a real cluster instead of the practice one")
	admin := f.String("admin", DefaultAdmin, "address of /healthz, /readyz and /metrics")
	level := f.String("log", "warn", "log level: debug, info, warn or error")
	json := f.Bool("log-json", false, "log as JSON instead of text lines")
	if err := noArgs(f, args); err != nil {
		return err
	}
	if err := fromEnv(f); err != nil {
		return err
	}
	for name, to := range map[string]*string{"NATS_URL": &o.NATSURL, "REDIS_URL": &o.RedisURL} {
		value, err := conf.Env(name)
		if err != nil {
			return err
		}
		*to = value
	}
	if _, err := os.Stat(filepath.Join(o.ConfigDir, "gateway.yaml")); err != nil {
		return fmt.Errorf("no configuration in %s; run from the repository's top, or name the folder with --config", o.ConfigDir)
	}
	if err := frugal(); err != nil {
		return err
	}
	log, err := obs.NewLogger(s.Err, *level, *json)
	if err != nil {
		return err
	}
	o.Log, o.Registry = log, obs.NewRegistry()
	stack, err := local.New(ctx, o)
	if err != nil {
		return err
	}
	a, err := run.NewAdmin(*admin, obs.MetricsHandler(o.Registry), log, stack.Parts()...)
	if err != nil {
		stack.Close()
		return err
	}
	stopping := context.AfterFunc(ctx, a.Stopping)
	defer stopping()
	greet(s, o, stack, a)
	return stack.Run(ctx, run.Named{Name: "admin", Part: a}, run.Hangup(stack, log))
}

// softLimit is what Go may hold before it collects more often, in bytes. With the binary's own pages the process stays under
// 100 MB after 10,000 messages (make bench); the runtime lets it grow beyond when more is really in use.
const softLimit = 56 << 20

// frugal trades the processor's time for memory, since one process holds what is several elsewhere. GOGC and GOMEMLIMIT win.
func frugal() error {
	gogc, err := conf.Env("GOGC")
	limit, lerr := conf.Env("GOMEMLIMIT")
	if err := errors.Join(err, lerr); err != nil {
		return err
	}
	if gogc == "" {
		debug.SetGCPercent(50)
	}
	if limit == "" {
		debug.SetMemoryLimit(softLimit)
	}
	return nil
}

// greet says what to open and what to type, and what a restart would forget.
func greet(s Streams, o local.Options, stack *local.Stack, a *run.Admin) {
	line := func(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", args...) }
	what := "everything in this process"
	if o.NoExecutor {
		what = "everything but executors in this process"
	}
	line("palmops 掌上运维: %s, data in %s\n", what, o.DataDir)
	line("  phone     %s/", stack.PageURL())
	line("            be 张三 and tap: 菜单, 零售事业部, Kubernetes 操作, 调整 POD 数, shop, web; type 5; tap 1. 确认执行")
	line("            or type /词 to search, such as /kr; 卡片 for cards with buttons; English")
	line("  terminal  palmops sim --user zhangsan        (in another terminal; the same chat)")
	line("  callback  %s", stack.CallbackURL())
	line("  admin     http://%s/readyz  /metrics", a.Addr())
	if o.Kubeconfig == "" {
		line("  cluster   %s  a practice Kubernetes API; --kubeconfig FILE takes a real one", stack.PracticeURL())
	} else {
		line("  cluster   the real one of %s", o.Kubeconfig)
	}
	if url := stack.NATSURL(); url != "" {
		line("  nats      %s", url)
		line("  executor  NATS_URL=%s PALMOPS_KEYS_FILE=%s/keys/local.json PALMOPS_KUBE_SERVER=%s palmops executor \\\n"+
			"              --config %s/executor.yaml --admin 127.0.0.1:0     (in other terminals; as many as you like)", url, o.DataDir, stack.PracticeURL(), o.ConfigDir)
	}
	if o.RedisURL == "" {
		line("\n  Sessions are kept in this process, with a journal in %s: a restart goes on with them, a crash of the\n  machine itself may cost the last of them, and nothing else. REDIS_URL=redis://HOST:PORT/0 takes a real Redis.", o.DataDir)
	}
	line("\n  Ctrl-C stops.")
}
