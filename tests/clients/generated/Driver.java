// Carries out calls of the client that openapi-generator makes for Java: one JSON line in, one out.
// It knows no rule of the contract; what it hands back is what the client handed to it.

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Parameter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.ApiResponse;
import org.openapitools.client.JSON;
import org.openapitools.client.api.DataQueryJobsV1Api;
import org.openapitools.client.api.QueryRunsApi;
import org.openapitools.client.api.TokensApi;
import org.openapitools.client.model.DataQueryError;
import org.openapitools.client.model.OAuthError;
import org.openapitools.client.model.Problem;

/** One client at a time. */
public final class Driver {
    private ApiClient client = new ApiClient();

    public static void main(String[] arguments) throws Exception {
        Driver driver = new Driver();
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonObject answer = driver.answer(JsonParser.parseString(line).getAsJsonObject());
            System.out.println(new Gson().toJson(answer));
        }
    }

    private JsonObject answer(JsonObject request) throws Exception {
        switch (request.get("do").getAsString()) {
            case "connect":
                client = new ApiClient().setBasePath(request.get("url").getAsString());
                client.setBearerToken(request.get("token").getAsString());
                return new JsonObject();
            case "download":
                return downloaded(request.get("url").getAsString());
            default:
                return call(
                        request.get("operation").getAsString(), request.getAsJsonObject("arguments"));
        }
    }

    private static JsonObject downloaded(String url) throws Exception {
        JsonObject found = new JsonObject();
        try (InputStream bytes = URI.create(url).toURL().openStream()) {
            found.addProperty("base64", Base64.getEncoder().encodeToString(bytes.readAllBytes()));
        }
        return found;
    }

    private JsonObject call(String operation, JsonObject arguments) throws Exception {
        Object[] apis = {
            new QueryRunsApi(client), new DataQueryJobsV1Api(client), new TokensApi(client)
        };
        for (Object api : apis) {
            for (Method method : api.getClass().getMethods()) {
                if (method.getName().equals(operation + "WithHttpInfo")) {
                    return outcome(api, method, arguments);
                }
            }
        }
        throw new IllegalStateException("no such operation: " + operation);
    }

    private JsonObject outcome(Object api, Method method, JsonObject arguments) throws Exception {
        JsonObject found = new JsonObject();
        try {
            var response = (ApiResponse<?>) method.invoke(api, values(method, arguments));
            found.addProperty("status", response.getStatusCode());
            found.add("headers", headers(response));
            found.add("result", JSON.getGson().toJsonTree(response.getData()));
        } catch (InvocationTargetException thrown) {
            found.add("error", error(api, thrown.getCause()));
        }
        return found;
    }

    /** Arguments by the parameters' names; the one of a model's class is the body. */
    private static Object[] values(Method method, JsonObject arguments) {
        Parameter[] parameters = method.getParameters();
        Object[] values = new Object[parameters.length];
        for (int i = 0; i < parameters.length; i++) {
            boolean isBody = parameters[i].getType().getName().contains(".model.");
            JsonElement value = arguments.get(isBody ? "body" : snake(parameters[i].getName()));
            values[i] = JSON.getGson().fromJson(value, parameters[i].getParameterizedType());
        }
        return values;
    }

    private static String snake(String name) {
        return name.replaceAll("([A-Z])", "_$1").toLowerCase();
    }

    private static JsonObject headers(ApiResponse<?> response) {
        JsonObject found = new JsonObject();
        response.getHeaders().forEach((name, all) -> found.addProperty(name.toLowerCase(), all.get(0)));
        return found;
    }

    /** An error that the service sent has a body, which its strict model must be able to read. */
    private static JsonObject error(Object api, Throwable thrown) throws Exception {
        JsonObject found = new JsonObject();
        found.addProperty("kind", thrown.getClass().getSimpleName());
        found.addProperty("text", String.valueOf(thrown.getMessage()));
        if (thrown instanceof ApiException refused && refused.getResponseBody() != null) {
            found.addProperty("status", refused.getCode());
            String body = refused.getResponseBody();
            Object model =
                    api instanceof QueryRunsApi
                            ? Problem.fromJson(body)
                            : api instanceof TokensApi
                                    ? OAuthError.fromJson(body)
                                    : DataQueryError.fromJson(body);
            found.add("body", JSON.getGson().toJsonTree(model));
        }
        return found;
    }
}
