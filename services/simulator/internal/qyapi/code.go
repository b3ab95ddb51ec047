package qyapi

// Return codes, page 90313. Only those that are given out here.
const (
	codeOK            = 0
	codeBusy          = -1
	codeSecret        = 40001 // wrong secret
	codeUserID        = 40003 // no user id
	codeMediaFormat   = 40004
	codeMediaType     = 40005
	codeMediaSize     = 40006 // too small
	codeMediaID       = 40007 // unknown, too old, or of another type
	codeMsgType       = 40008
	codeCorpID        = 40013
	codeToken         = 40014
	codeAgentID       = 40056
	codeParam         = 40058 // also a list that is too long
	codeURL           = 40066 // no such path; the page has no code for it, this one is what WeChat's platforms answer
	codeTag           = 40068
	codeTokenMissing  = 41001
	codeCorpIDMissing = 41002
	codeSecretMissing = 41004
	codeMediaMissing  = 41006
	codeTagMissing    = 41017
	codeTokenExpired  = 42001
	codeNeedGet       = 43001
	codeNeedPost      = 43002
	codeMediaEmpty    = 44001
	codeContentEmpty  = 44004
	codeMediaLarge    = 45001
	codeTooLong       = 45002
	codeJSON          = 47001
	codeNoUser        = 60111
	codeNoDepartment  = 60123
	codeResponse      = 60140 // response_code unknown, used or too old
	codeNoReceiver    = 81013 // every receiver is unknown
	codeReceiverEmpty = 82001
	codeOtherAgent    = 301002 // the token is another app's

	// Fields of a template card.
	codeTaskID       = 42014 // missing, not of the form, or used before
	codeTaskUnknown  = 42016
	codeKeyName      = 42027
	codeCardURL      = 42028
	codeCardMedia    = 42029
	codeCardApp      = 42030
	codeCardType     = 42031
	codeCardTitle    = 42033
	codeHorizontal   = 42035
	codeOptions      = 42037
	codeButtonText   = 42038
	codeButtonKey    = 42039 // missing, too long, or twice
	codeOptionID     = 42040
	codeOptionText   = 42041
	codeJumps        = 42042
	codeQuestion     = 42043
	codeCardAction   = 42045
	codeCardUser     = 42050
	codeMenuConflict = 42051
)

func message(r reply) string {
	text, known := messages[r.code]
	if !known {
		text = "error"
	}
	if r.msg != "" {
		text += ", " + r.msg
	}
	return text
}

// messages are the texts of the codes. Programs judge by the code; WeCom changes the texts.
var messages = map[int]string{
	codeOK:            "ok",
	codeBusy:          "system busy",
	codeSecret:        "invalid credential",
	codeUserID:        "invalid userid",
	codeMediaFormat:   "invalid media format",
	codeMediaType:     "invalid media type",
	codeMediaSize:     "invalid file size",
	codeMediaID:       "invalid media_id",
	codeMsgType:       "invalid message type",
	codeCorpID:        "invalid corpid",
	codeToken:         "invalid access_token",
	codeAgentID:       "invalid agentid",
	codeParam:         "invalid Request Parameter",
	codeURL:           "invalid url",
	codeTag:           "invalid tagid",
	codeTokenMissing:  "access_token missing",
	codeCorpIDMissing: "corpid missing",
	codeSecretMissing: "corpsecret missing",
	codeMediaMissing:  "media_id missing",
	codeTagMissing:    "tagid missing",
	codeTokenExpired:  "access_token expired",
	codeNeedGet:       "require GET method",
	codeNeedPost:      "require POST method",
	codeMediaEmpty:    "empty media data",
	codeContentEmpty:  "content empty",
	codeMediaLarge:    "media size out of limit",
	codeTooLong:       "msg content size out of limit",
	codeJSON:          "data format error",
	codeNoUser:        "userid not found",
	codeNoDepartment:  "invalid party id",
	codeResponse:      "invalid response_code",
	codeNoReceiver:    "user & party & tag all invalid",
	codeReceiverEmpty: "user & party & tag all empty",
	codeOtherAgent:    "not allow to use this agentid",
	codeTaskID:        "invalid taskid",
	codeTaskUnknown:   "taskid not exist",
	codeKeyName:       "Template_Card.horizontal_content_list.keyname missing",
	codeCardURL:       "Template_Card url missing",
	codeCardMedia:     "Template_Card media_id missing",
	codeCardApp:       "Template_Card appid missing",
	codeCardType:      "Template_Card.card_type invalid",
	codeCardTitle:     "Template_Card title missing",
	codeHorizontal:    "Template_Card.horizontal_content_list size invalid",
	codeOptions:       "Template_Card.option_list size invalid",
	codeButtonText:    "Template_Card.button_list.text missing or invalid",
	codeButtonKey:     "Template_Card.button_list.key missing or invalid",
	codeOptionID:      "Template_Card.option_list.id missing or invalid",
	codeOptionText:    "Template_Card.option_list.text missing or invalid",
	codeJumps:         "Template_Card.jump_list size invalid",
	codeQuestion:      "Template_Card.question_key missing or invalid",
	codeCardAction:    "Template_Card.card_action missing or invalid",
	codeCardUser:      "Template_Card.horizontal_content_list.userid missing or invalid",
	codeMenuConflict:  "Template_Card.action_menu.action_list.key conflict",
}
