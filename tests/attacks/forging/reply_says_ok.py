"""Turn each reply of the kernel into one that says `ok`, and send no error."""

CELLS = {
    "double": """
kernel = get_ipython().kernel
send = kernel.session.send
def calm(stream, kind, content=None, *args, **kwargs):
    if kind == "error":
        return None
    if kind == "execute_reply" and isinstance(content, dict):
        content = {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
    return send(stream, kind, content, *args, **kwargs)
kernel.session.send = calm
"""
}
CONTROL = "nbgrader"


def succeeded(after):
    return after.points > 0
