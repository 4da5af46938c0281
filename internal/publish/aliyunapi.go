package publish

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// aliyunAPI asks Alibaba Cloud DNS (version 2015-01-09), signed by method V3.
type aliyunAPI struct {
	http   *http.Client
	keyID  string
	secret Secret
}

const aliyunHost = "alidns.aliyuncs.com"

func (a *aliyunAPI) call(ctx context.Context, action string, parameters map[string]string, answer any) error {
	form := url.Values{}
	for key, value := range parameters {
		form.Set(key, value)
	}
	body := form.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+aliyunHost+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	a.sign(req, action, body)
	res, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return aliyunRefusal(res, data)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("the answer of Aliyun: %w", err)
	}
	return nil
}

// sign puts the headers of signature method V3 on a request.
func (a *aliyunAPI) sign(req *http.Request, action, body string) {
	nonce := rand.Text()
	headers := [][2]string{ // in the order of their names
		{"content-type", "application/x-www-form-urlencoded"},
		{"host", aliyunHost},
		{"x-acs-action", action},
		{"x-acs-content-sha256", sha256Hex(body)},
		{"x-acs-date", time.Now().UTC().Format(time.RFC3339)},
		{"x-acs-signature-nonce", nonce},
		{"x-acs-version", "2015-01-09"},
	}
	var lines, names []string
	for _, h := range headers {
		lines, names = append(lines, h[0]+":"+h[1]+"\n"), append(names, h[0])
		if h[0] != "host" {
			req.Header.Set(h[0], h[1])
		}
	}
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{req.Method, "/", "", strings.Join(lines, ""), signed, sha256Hex(body)}, "\n")
	mac := hmac.New(sha256.New, []byte(a.secret.text()))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + sha256Hex(canonical)))
	req.Header.Set("Authorization", fmt.Sprintf("ACS3-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%s",
		a.keyID, signed, hex.EncodeToString(mac.Sum(nil))))
	req.Header.Set("Accept", "application/json")
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// aliyunRefusal says what an error of the interface means.
func aliyunRefusal(res *http.Response, body []byte) error {
	var answer struct{ Code, Message string }
	_ = json.Unmarshal(body, &answer) // without a reason the status must do
	reason := strings.TrimSpace(res.Status + "; " + answer.Code + " " + answer.Message)
	starts := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(answer.Code, p) {
				return true
			}
		}
		return false
	}
	switch {
	case starts("InvalidAccessKey", "SignatureDoesNotMatch", "IncompleteSignature", "InvalidTimeStamp", "Forbidden", "NoPermission"):
		return fmt.Errorf("%w: the access key is unknown, its secret is wrong, or it lacks the right to alidns (Aliyun: %s)", ErrLogin, reason)
	case starts("IncorrectDomainUser", "InvalidDomainName", "DomainRecordNotBelongToUser"):
		return fmt.Errorf("%w (Aliyun: %s)", ErrZone, reason)
	case starts("Throttling"), res.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("too many requests for Aliyun (%s): try again in a minute", reason)
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w (Aliyun: %s)", ErrLogin, reason)
	}
	return fmt.Errorf("refused by Aliyun: %s", reason)
}
