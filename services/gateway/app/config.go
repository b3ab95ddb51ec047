package app

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"time"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/services/gateway/internal/allow"
)

// LocalCorp is the corp of the credentials in deployments/config/local, which everybody knows.
const LocalCorp = "wwpalmops00000001"

// Config is the gateway's file. Every field but apps and allow has a default.
type Config struct {
	Listen     string      `yaml:"listen"`     // where WeCom knocks; default 127.0.0.1:8080
	Admin      string      `yaml:"admin"`      // health and metrics of a gateway that runs alone; default 127.0.0.1:8081
	Production bool        `yaml:"production"` // refuses the well-known local credentials
	Apps       []AppConfig `yaml:"apps"`
	APIBase    string      `yaml:"api_base"`  // WeCom's API; default https://qyapi.weixin.qq.com
	APIProxy   string      `yaml:"api_proxy"` // HTTP proxy on the way to it; none by default, whatever the environment says
	Allow      struct {
		Static []string `yaml:"static"` // addresses, CIDR ranges and patterns such as 101.226.103.* that may call
	} `yaml:"allow"`
	TrustedProxies []string `yaml:"trusted_proxies"` // addresses and ranges whose X-Forwarded-For is believed; none by default
	NATS           NATS     `yaml:"nats"`

	Window         conf.Duration `yaml:"window"`          // how old or early a callback may be; default 5m
	PassiveBudget  conf.Duration `yaml:"passive_budget"`  // how long a passive reply is waited for; default 2.5s
	PublishTimeout conf.Duration `yaml:"publish_timeout"` // how long storing a message may take; default 1.5s
	MaxInFlight    int           `yaml:"max_in_flight"`   // callbacks in work at once; default 512
	MaxConnections int           `yaml:"max_connections"` // default 2048
}

// AppConfig is one WeCom application.
type AppConfig struct {
	Name        string `yaml:"name"`        // in the callback's path: /wecom/<name>/callback
	Credentials string `yaml:"credentials"` // a file of WECOM_* lines, relative to the configuration; the environment wins
	// ReceiveID is what callbacks are encrypted for: the corp id when absent.
	ReceiveID *string `yaml:"receive_id"`
	// Cards says whether questions may go out as cards with buttons; true when absent. Without them the same questions come
	// as text with numbers, which clients that are too old for cards can show as well.
	Cards *bool `yaml:"cards"`
}

func (a AppConfig) allowsCards() bool { return a.Cards == nil || *a.Cards }

// NATS says how a gateway that runs alone reaches the bus.
type NATS struct {
	URL   string `yaml:"url"`   // default nats://127.0.0.1:4222; NATS_URL of the environment wins
	Creds string `yaml:"creds"` // user credentials file, relative to the configuration; none by default
}

// The longest that an answer may be waited for, and the window's bounds. WeCom gives up after 5 s; the stream knows
// repeated messages for 30 minutes.
const (
	maxPassive = 3500 * time.Millisecond
	maxPublish = 1500 * time.Millisecond
	maxWindow  = 15 * time.Minute
)

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.Listen, "127.0.0.1:8080")
	def(&c.Admin, "127.0.0.1:8081")
	def(&c.APIBase, "https://qyapi.weixin.qq.com")
	def(&c.NATS.URL, "nats://127.0.0.1:4222")
	c.Window = conf.Duration(c.Window.Or(5 * time.Minute))
	c.PassiveBudget = conf.Duration(c.PassiveBudget.Or(2500 * time.Millisecond))
	c.PublishTimeout = conf.Duration(c.PublishTimeout.Or(maxPublish))
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 512
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 2048
	}
	return c
}

var appName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// mistake is one wrong value and the key it belongs to, such as apps[0].name.
type mistake struct {
	key, text string
}

func (m mistake) Error() string         { return m.key + ": " + m.text }
func (m mistake) FaultKind() fault.Kind { return fault.Invalid }

// Validate finds all mistakes at once. It judges the values with their defaults filled in.
func (c Config) Validate() error {
	var errs []error
	for _, m := range c.withDefaults().mistakes() {
		errs = append(errs, m)
	}
	return errors.Join(errs...)
}

func (c Config) mistakes() []mistake {
	var found []mistake
	wrong := func(key, format string, args ...any) {
		found = append(found, mistake{key, fmt.Sprintf(format, args...)})
	}
	for _, a := range [][2]string{{"listen", c.Listen}, {"admin", c.Admin}} {
		if _, _, err := net.SplitHostPort(a[1]); err != nil {
			wrong(a[0], "%q is not host:port", a[1])
		}
	}
	if len(c.Apps) == 0 {
		wrong("apps", "at least one is needed")
	}
	names := map[string]bool{}
	for i, a := range c.Apps {
		key := fmt.Sprintf("apps[%d].name", i)
		switch {
		case !appName.MatchString(a.Name):
			wrong(key, "%q is not 1 to 32 of a-z 0-9 _ -", a.Name)
		case names[a.Name]:
			wrong(key, "%q is there twice", a.Name)
		}
		names[a.Name] = true
	}
	for _, a := range [][2]string{{"api_base", c.APIBase}, {"api_proxy", c.APIProxy}} {
		u, err := url.Parse(a[1])
		if a[1] != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			wrong(a[0], "it is not an http or https address") // not quoted: a proxy's can hold a password
		}
	}
	if len(c.Allow.Static) == 0 {
		wrong("allow.static", "without an address nobody can call")
	}
	for _, l := range []struct {
		key     string
		entries []string
	}{{"allow.static", c.Allow.Static}, {"trusted_proxies", c.TrustedProxies}} {
		for i, e := range l.entries {
			if _, err := allow.Parse([]string{e}); err != nil {
				wrong(fmt.Sprintf("%s[%d]", l.key, i), "%v", err)
			}
		}
	}
	for _, d := range []struct {
		key      string
		is       conf.Duration
		min, max time.Duration
	}{
		{"window", c.Window, time.Second, maxWindow},
		{"passive_budget", c.PassiveBudget, 100 * time.Millisecond, maxPassive},
		{"publish_timeout", c.PublishTimeout, 50 * time.Millisecond, maxPublish},
	} {
		if v := time.Duration(d.is); v < d.min || v > d.max {
			wrong(d.key, "%s is not between %s and %s", v, d.min, d.max)
		}
	}
	for _, n := range []struct {
		key string
		is  int
	}{{"max_in_flight", c.MaxInFlight}, {"max_connections", c.MaxConnections}} {
		if n.is < 1 || n.is > 1<<20 {
			wrong(n.key, "%d is not between 1 and 1048576", n.is)
		}
	}
	return found
}

// AppCredentials are those of one app.
type AppCredentials struct {
	Name      string
	WeCom     conf.WeCom
	ReceiveID string // what callbacks are encrypted for
}

// crypts checks credentials, each and against each other, and builds the apps' Crypts.
func crypts(cfg Config, apps []AppCredentials) ([]*wecom.Crypt, error) {
	var errs []error
	if len(apps) != len(cfg.Apps) {
		errs = append(errs, mistake{"apps", fmt.Sprintf("%d apps, but credentials of %d", len(cfg.Apps), len(apps))})
	}
	out := make([]*wecom.Crypt, len(apps))
	agents := map[string]string{}
	for i, a := range apps {
		wrong := func(text string) {
			errs = append(errs, mistake{fmt.Sprintf("apps[%d].credentials", i), text})
		}
		if i < len(cfg.Apps) && a.Name != cfg.Apps[i].Name {
			wrong(fmt.Sprintf("they are of app %q", a.Name))
		}
		if cfg.Production && a.WeCom.CorpID == LocalCorp {
			wrong("these are for local use only and known to everybody; production refuses them")
		}
		agent := fmt.Sprintf("%s/%d", a.WeCom.CorpID, a.WeCom.AgentID)
		if other, twice := agents[agent]; twice {
			wrong(fmt.Sprintf("the same agent as app %s (WECOM_* in the environment counts for every app)", other))
		}
		agents[agent] = a.Name
		c, err := wecom.NewCrypt(a.WeCom.Token.Reveal(), a.WeCom.EncodingAESKey.Reveal(), a.ReceiveID)
		if err != nil {
			wrong(err.Error())
		}
		out[i] = c
	}
	return out, errors.Join(errs...)
}
