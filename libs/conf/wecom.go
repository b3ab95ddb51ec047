package conf

import (
	"fmt"
	"strconv"
)

// WeCom are the credentials of one app, under the names that other programs for WeCom use as well.
type WeCom struct {
	CorpID         string
	AgentID        int64
	CorpSecret     Secret
	Token          Secret
	EncodingAESKey Secret
}

// WeComFromEnv reads WECOM_CORP_ID, WECOM_AGENT_ID, WECOM_CORP_SECRET, WECOM_TOKEN and WECOM_ENCODING_AES_KEY,
// each also as *_FILE. Values of the environment win over those of file, a KEY=VALUE file that may be "".
// Every missing or wrong one is reported at once.
func WeComFromEnv(file string) (WeCom, error) {
	base := map[string]string{}
	if file != "" {
		var err error
		if base, err = EnvFile(file); err != nil {
			return WeCom{}, err
		}
	}
	where := file
	if where == "" {
		where = "environment"
	}
	var ps Problems
	get := func(name string) string {
		v, err := Env(name)
		if err != nil {
			ps.Add(where, 0, "%v", err)
			return ""
		}
		if v == "" {
			v = base[name]
		}
		if v == "" {
			ps.Add(where, 0, "%s is not set", name)
		}
		return v
	}
	w := WeCom{
		CorpID:         get("WECOM_CORP_ID"),
		CorpSecret:     Secret(get("WECOM_CORP_SECRET")),
		Token:          Secret(get("WECOM_TOKEN")),
		EncodingAESKey: Secret(get("WECOM_ENCODING_AES_KEY")),
	}
	if agent := get("WECOM_AGENT_ID"); agent != "" {
		n, err := strconv.ParseInt(agent, 10, 64)
		if err != nil || n <= 0 {
			ps.Add(where, 0, "%s", fmt.Sprintf("WECOM_AGENT_ID: %q is not a positive number", agent))
		}
		w.AgentID = n
	}
	return w, ps.Err()
}
