import { useState } from "preact/hooks";
import { type Session, api } from "./api.ts";
import { Failure, messageOf, useTitle } from "./ui.tsx";

export function SignIn({ reason, onSignedIn }: { reason?: string; onSignedIn: (session: Session) => void }) {
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  useTitle("Sign in");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    setBusy(true);
    setError(undefined);
    try {
      const session = await api.signIn(String(fields.get("id")).trim(), String(fields.get("secret")).trim());
      form.reset();
      onSignedIn(session);
    } catch (failure) {
      setError(messageOf(failure));
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <h1>queryrun</h1>
      {reason && <p>{reason}</p>}
      <form onSubmit={submit} autocomplete="on">
        <label>
          Client id
          <input name="id" autocomplete="username" spellcheck={false} required autofocus />
        </label>
        <label>
          Client secret
          <input name="secret" type="password" autocomplete="current-password" required />
        </label>
        {error && <Failure title="You are not signed in">{error}</Failure>}
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? "Signing in …" : "Sign in"}
        </button>
      </form>
      <p class="muted">
        An operator makes a client with <code>queryrun client create</code>.
      </p>
    </main>
  );
}
