# Receives events by POST.

from django.http import JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from event import acknowledge


@require_POST
async def webhook(request):
    try:
        return JsonResponse(acknowledge(request.body))
    except ValueError as error:
        return JsonResponse({"error": str(error)}, status=400)


urlpatterns = [path("webhook", webhook)]
