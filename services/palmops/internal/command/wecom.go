package command

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net/url"
	"strconv"
	"time"

	"palmops/libs/conf"
	"palmops/libs/wecom"
)

// wecomFlags are the credentials and the query of one callback.
type wecomFlags struct {
	token, key, receive       string
	receiveGiven              bool // an empty receiveid is one too: that of an AI bot
	signature, stamp, nonce   string
	callbackURL, echo, cipher string
	envFile                   string
}

func (w *wecomFlags) register(f *flag.FlagSet) {
	f.StringVar(&w.envFile, "env-file", "", "file with WECOM_* lines, such as deployments/config/local/wecom.env")
	f.StringVar(&w.token, "token", "", "Token of the callback settings (default: WECOM_TOKEN)")
	for _, n := range []string{"encoding-aes-key", "aes-key"} {
		f.StringVar(&w.key, n, "", "EncodingAESKey, 43 characters (default: WECOM_ENCODING_AES_KEY)")
	}
	for _, n := range []string{"corp-id", "receive-id"} {
		f.Func(n, "receiveid: the CorpID for an app, empty for an AI bot (default: WECOM_CORP_ID)", func(v string) error {
			w.receive, w.receiveGiven = v, true
			return nil
		})
	}
}

func (w *wecomFlags) registerQuery(f *flag.FlagSet) {
	f.StringVar(&w.callbackURL, "url", "", "the whole callback URL or its query, instead of the next flags")
	for _, n := range []string{"msg-signature", "signature"} {
		f.StringVar(&w.signature, n, "", "msg_signature of the query")
	}
	f.StringVar(&w.stamp, "timestamp", "", "timestamp of the query, Unix seconds")
	f.StringVar(&w.nonce, "nonce", "", "nonce of the query")
	f.StringVar(&w.echo, "echostr", "", "echostr of the query, decoded")
}

func (w *wecomFlags) crypt() (*wecom.Crypt, error) {
	file := map[string]string{}
	if w.envFile != "" {
		var err error
		if file, err = conf.EnvFile(w.envFile); err != nil {
			return nil, err
		}
	}
	for _, v := range []struct {
		name string
		to   *string
	}{{"WECOM_TOKEN", &w.token}, {"WECOM_ENCODING_AES_KEY", &w.key}, {"WECOM_CORP_ID", &w.receive}} {
		if *v.to != "" || v.to == &w.receive && w.receiveGiven {
			continue
		}
		value, err := conf.Env(v.name)
		if err != nil {
			return nil, err
		}
		if value == "" {
			value = file[v.name]
		}
		*v.to = value
	}
	if w.token == "" || w.key == "" {
		return nil, errors.New("token and EncodingAESKey are needed: by flag, by WECOM_TOKEN and WECOM_ENCODING_AES_KEY, or by --env-file")
	}
	c, err := wecom.NewCrypt(w.token, w.key, w.receive)
	return c, refuseCode(err)
}

// query takes the callback's query from --url or from the single flags.
func (w *wecomFlags) query() (wecom.Query, error) {
	if w.callbackURL != "" {
		raw := w.callbackURL
		if u, err := url.Parse(w.callbackURL); err == nil && u.RawQuery != "" {
			raw = u.RawQuery
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			return wecom.Query{}, fmt.Errorf("--url: %w", err)
		}
		if values.Has("echostr") {
			if w.echo, err = wecom.EchoStr(raw); err != nil {
				return wecom.Query{}, refuseCode(err)
			}
		}
		q, err := wecom.ParseQuery(values)
		return q, refuseCode(err)
	}
	for _, v := range [][2]string{{"msg-signature", w.signature}, {"timestamp", w.stamp}, {"nonce", w.nonce}} {
		if v[1] == "" {
			return wecom.Query{}, fmt.Errorf("--%s is missing; give --url, or --msg-signature, --timestamp and --nonce", v[0])
		}
	}
	q, err := wecom.ParseQuery(url.Values{"msg_signature": {w.signature}, "timestamp": {w.stamp}, "nonce": {w.nonce}})
	return q, refuseCode(err)
}

// refuseCode puts the official library's code first, since that is what WeCom's documentation explains.
func refuseCode(err error) error {
	var e *wecom.Error
	var done refusal
	if !errors.As(err, &e) || errors.As(err, &done) {
		return err
	}
	return refuse(fmt.Errorf("%d %s (%s): %w", int(e.Code), e.Code, e.Reason, err))
}

// refuse is refuseCode with what is often behind it.
func (w *wecomFlags) refuse(err error) error {
	var e *wecom.Error
	if errors.As(err, &e) && e.Reason == wecom.ReasonReceiveID && w.receive == "" {
		err = fmt.Errorf("%w: the receiveid is empty; give --corp-id or WECOM_CORP_ID", err)
	}
	return refuseCode(err)
}

func wecomVerify(_ context.Context, s Streams, args []string) error {
	var w wecomFlags
	f := flags(s, "wecom verify")
	w.register(f)
	w.registerQuery(f)
	f.StringVar(&w.cipher, "encrypt", "", "Encrypt of a POST body, instead of an echostr; only its signature and frame are checked")
	if err := noArgs(f, args); err != nil {
		return err
	}
	c, err := w.crypt()
	if err != nil {
		return err
	}
	q, err := w.query()
	if err != nil {
		return err
	}
	text := w.echo
	if text == "" {
		text = w.cipher
	}
	if text == "" {
		return errors.New("--echostr, --encrypt, or --url with an echostr is needed")
	}
	plain, err := c.VerifyURL(q, text)
	if err != nil {
		return w.refuse(err)
	}
	if w.echo != "" {
		fmt.Fprintf(s.Out, "%s\n", plain)
	} else {
		fmt.Fprintln(s.Out, "ok")
	}
	return nil
}

func wecomDecrypt(_ context.Context, s Streams, args []string) error {
	var w wecomFlags
	f := flags(s, "wecom decrypt")
	w.register(f)
	w.registerQuery(f)
	if err := noArgs(f, args); err != nil {
		return err
	}
	c, err := w.crypt()
	if err != nil {
		return err
	}
	body, err := read(s.In)
	if err != nil {
		return err
	}
	plain, note, err := w.open(c, body)
	if err != nil {
		return w.refuse(err)
	}
	if note != "" {
		fmt.Fprintln(s.Err, note)
	}
	fmt.Fprintf(s.Out, "%s\n", plain)
	return nil
}

// open takes a callback body with its query, a passive reply, which carries its own, or a bare ciphertext.
func (w *wecomFlags) open(c *wecom.Crypt, body []byte) (plain []byte, note string, err error) {
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 {
		return nil, "", errors.New("standard input is empty; it should hold the callback's body")
	}
	if w.callbackURL != "" || w.signature != "" || w.stamp != "" || w.nonce != "" {
		q, err := w.query()
		if err != nil {
			return nil, "", err
		}
		opened, err := c.Open(q, body)
		return opened.Plain, "", err
	}
	if trimmed[0] != '<' && trimmed[0] != '{' {
		plain, err := c.Decrypt(string(trimmed))
		return plain, "note: a bare ciphertext has no signature to check", err
	}
	plain, _, err = c.OpenReply(trimmed)
	// A body with a signature of its own is a reply, and then that signature counts. A callback's stands in its URL.
	if err == nil || bytes.Contains(bytes.ToLower(trimmed), []byte("msgsignature")) {
		return plain, "", err
	}
	env, err := wecom.ScanEnvelope(trimmed)
	if err != nil {
		return nil, "", err
	}
	plain, err = c.Decrypt(string(env.Encrypt))
	return plain, "note: the signature was not checked; give --url, or --msg-signature, --timestamp and --nonce", err
}

func wecomEncrypt(_ context.Context, s Streams, args []string) error {
	var w wecomFlags
	var json, callback bool
	var to, agent string
	f := flags(s, "wecom encrypt")
	w.register(f)
	f.StringVar(&w.stamp, "timestamp", "", "Unix seconds (default: now)")
	f.StringVar(&w.nonce, "nonce", "", "nonce (default: a random number)")
	f.BoolVar(&json, "json", false, "the JSON form instead of XML")
	f.BoolVar(&callback, "callback", false, "the form of a callback, with its query on standard error, instead of a passive reply")
	f.StringVar(&to, "to-user", "", "ToUserName of a callback (default: the CorpID)")
	f.StringVar(&agent, "agent-id", "", "AgentID of a callback")
	if err := noArgs(f, args); err != nil {
		return err
	}
	c, err := w.crypt()
	if err != nil {
		return err
	}
	plain, err := read(s.In)
	if err != nil {
		return err
	}
	plain = bytes.TrimSuffix(plain, []byte("\n"))
	if w.stamp == "" {
		w.stamp = strconv.FormatInt(time.Now().Unix(), 10)
	}
	if w.nonce == "" {
		n, err := rand.Int(rand.Reader, big.NewInt(9_000_000_000))
		if err != nil {
			return err
		}
		w.nonce = strconv.FormatInt(1_000_000_000+n.Int64(), 10)
	}
	form := wecom.FormXML
	if json {
		form = wecom.FormJSON
	}
	if !callback {
		body, err := c.Reply(form, w.stamp, w.nonce, plain)
		if err != nil {
			return refuseCode(err)
		}
		fmt.Fprintf(s.Out, "%s\n", body)
		return nil
	}
	if to == "" {
		to = w.receive
	}
	q, body, err := c.SealCallback(form, to, agent, w.stamp, w.nonce, plain)
	if err != nil {
		return refuseCode(err)
	}
	fmt.Fprintf(s.Err, "?%s\n", url.Values{"msg_signature": {q.Signature}, "timestamp": {q.Timestamp}, "nonce": {q.Nonce}}.Encode())
	fmt.Fprintf(s.Out, "%s\n", body)
	return nil
}
