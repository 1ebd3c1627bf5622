// Create, wait, download, cancel, with the client that openapi-generator makes for Go.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	queryrunapi "example.com/queryrun/api"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	url, token, sql, runaway := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	configuration := queryrunapi.NewConfiguration()
	configuration.Servers = queryrunapi.ServerConfigurations{{URL: url}}
	configuration.AddDefaultHeader("authorization", "Bearer "+token)
	runs := queryrunapi.NewAPIClient(configuration).QueryRunsAPI
	background := context.Background()

	created := func(statement string) *queryrunapi.QueryRun {
		body := queryrunapi.NewCreateQueryRun(statement, "csv")
		run, _, err := runs.CreateQueryRun(background).CreateQueryRun(*body).Execute()
		check(err)
		return run
	}
	finished := func(run *queryrunapi.QueryRun) *queryrunapi.QueryRun {
		var err error
		for run.GetState() == "accepted" || run.GetState() == "in_progress" {
			run, _, err = runs.GetQueryRun(background, run.GetId()).Prefer("wait=5").Execute()
			check(err)
		}
		return run
	}

	done := finished(created(sql))
	response, err := http.Get(done.File.GetUrl())
	check(err)
	content, err := io.ReadAll(response.Body)
	check(err)
	second := created(runaway)
	_, _, err = runs.CancelQueryRun(background, second.GetId()).Execute()
	check(err)
	canceled := finished(second)
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"state": done.GetState(), "rows": done.GetNumberOfRows(),
		"content": string(content), "canceled": canceled.GetState(),
	}))
}
