// Shows how far an upload is. Without this script the form does its work all the same.
const form = document.querySelector("form[data-upload]");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const bar = form.querySelector("progress");
  const request = new XMLHttpRequest();
  request.upload.onprogress = (sent) => {
    bar.max = sent.total;
    bar.value = sent.loaded;
    bar.hidden = false;
  };
  request.onload = () => {
    document.open();
    document.write(request.responseText);
    document.close();
  };
  request.onerror = () => form.submit(); // the browser knows better what to say
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "text/html");
  request.send(new FormData(form));
});
