package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	nethttp "net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/services/executor/internal/endpoint"
)

// sample is one value at a time.
type sample struct {
	at    time.Time
	value float64
}

// series is one line of a result: its labels and its values in the order of time.
type series struct {
	labels  map[string]string
	samples []sample
}

// result is what a query gave. Left is how many series had no plain values, such as native histograms.
type result struct {
	series []series
	left   int
	warned bool // the server says that something may be missing
}

// answer is the form of Prometheus's HTTP API.
type answer struct {
	Status    string   `json:"status"`
	Error     string   `json:"error"`
	ErrorType string   `json:"errorType"`
	Warnings  []string `json:"warnings"`
	Data      struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}

// parse reads an answer with status success.
func parse(body string) (result, error) {
	var a answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		return result{}, fmt.Errorf("answer: %w", err)
	}
	if a.Status != "success" {
		return result{}, fmt.Errorf("status %.40q, error %.200q", a.Status, a.Error)
	}
	out := result{warned: len(a.Warnings) > 0}
	switch a.Data.Type {
	case "scalar":
		var p pair
		if err := json.Unmarshal(a.Data.Result, &p); err != nil {
			return result{}, fmt.Errorf("scalar: %w", err)
		}
		out.series = []series{{labels: map[string]string{}, samples: []sample{sample(p)}}}
	case "vector", "matrix":
		var all []struct {
			Metric map[string]string `json:"metric"`
			Value  *pair             `json:"value"`
			Values []pair            `json:"values"`
		}
		if err := json.Unmarshal(a.Data.Result, &all); err != nil {
			return result{}, fmt.Errorf("%s: %w", a.Data.Type, err)
		}
		for _, one := range all {
			s := series{labels: one.Metric}
			if one.Value != nil {
				s.samples = append(s.samples, sample(*one.Value))
			}
			for _, v := range one.Values {
				s.samples = append(s.samples, sample(v))
			}
			if len(s.samples) == 0 {
				out.left++
				continue
			}
			slices.SortStableFunc(s.samples, func(a, b sample) int { return a.at.Compare(b.at) })
			out.series = append(out.series, s)
		}
	default:
		return result{}, fmt.Errorf("a result of type %.40q", a.Data.Type)
	}
	return out, nil
}

// pair is [seconds, "value"].
type pair sample

// UnmarshalJSON reads a time in seconds and a number as text, which may be NaN, +Inf or -Inf.
func (p *pair) UnmarshalJSON(data []byte) error {
	var both []json.RawMessage
	var seconds float64
	var text string
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	if len(both) != 2 {
		return fmt.Errorf("a sample of %d parts", len(both))
	}
	if err := json.Unmarshal(both[0], &seconds); err != nil {
		return err
	}
	if err := json.Unmarshal(both[1], &text); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(v, 0) {
		return err
	}
	if math.Abs(seconds) > 1e11 {
		return fmt.Errorf("a sample at %g s", seconds)
	}
	p.at, p.value = time.UnixMilli(int64(math.Round(seconds*1000))), v
	return nil
}

// server is one server and how a person calls it.
type server struct {
	*endpoint.Client
	name  string
	fonts []string
}

// instant asks for the values of now.
func (s server) instant(ctx context.Context, promql string, t lang.Tag) (result, error) {
	return s.ask(ctx, "/api/v1/query", url.Values{"query": {promql}}, t)
}

// over asks for the values from a time to another.
func (s server) over(ctx context.Context, promql string, from, to time.Time, step time.Duration, t lang.Tag) (result, error) {
	return s.ask(ctx, "/api/v1/query_range", url.Values{
		"query": {promql}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, t)
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// ask makes a request. Errors have a kind and a text.
func (s server) ask(ctx context.Context, path string, q url.Values, t lang.Tag) (result, error) {
	res, err := s.Read(ctx, endpoint.Request{Method: nethttp.MethodGet, Path: path, Query: q})
	if err != nil {
		return result{}, endpoint.Explain(err, t, s.name)
	}
	if res.Status != nethttp.StatusOK {
		var a answer
		if json.Unmarshal([]byte(res.Body), &a) == nil && a.Error != "" {
			return result{}, refused(a, t)
		}
		return result{}, endpoint.Refused(res, t, s.name)
	}
	if err := endpoint.Whole(res, t, s.name); err != nil {
		return result{}, err
	}
	out, err := parse(res.Body)
	return out, endpoint.Unreadable(err, t, s.name)
}

// refused explains what the server says about a query.
func refused(a answer, t lang.Tag) error {
	err := func(k fault.Kind, key string) error {
		return fault.WithText(fault.New(k, "prometheus: %s: %s", a.ErrorType, a.Error), texts.Say(t, key, endpoint.Quote(a.Error)))
	}
	switch {
	case a.ErrorType == "timeout" || a.ErrorType == "canceled" || strings.Contains(a.Error, "query timed out"):
		return err(fault.Transient, "query.slow")
	case a.ErrorType == "bad_data" || a.ErrorType == "execution":
		return err(fault.Invalid, "query.refused")
	}
	return err(fault.Transient, "query.down")
}
